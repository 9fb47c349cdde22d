import Testing

@Suite struct ImagesPlaceholderTests {}
