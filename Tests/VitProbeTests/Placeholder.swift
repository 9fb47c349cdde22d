import Testing

@Suite struct VitProbePlaceholderTests {}
