import Testing

@Suite struct CommandLineToolPlaceholderTests {}
