import Testing

@Suite struct TensorsPlaceholderTests {}
