import Testing

@Suite struct CheckpointsPlaceholderTests {}
