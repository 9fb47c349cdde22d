/// Every family of architectures. Weights are recognised by the first family that knows their names:
/// a family whose names are a special case of another's stands before it.
public enum ModelRegistry {
  /// The families, in the order in which weights are tried.
  public static let families: [any ModelConfiguration.Type] = [
    RefinerConfiguration.self,
    PublishedRefinerConfiguration.self,
    ViTConfiguration.self,
    SASAConfiguration.self,
    AugmentedResNetConfiguration.self,
    ResNetConfiguration.self,
    DWNetConfiguration.self,
    SwinConfiguration.self,
    PiTConfiguration.self,
    MixerConfiguration.self,
    AlterNetConfiguration.self,
    RedNetConfiguration.self,
    PVTConfiguration.self,
    VOLOConfiguration.self,
    ConvolutionalViTConfiguration.self,
    AttentionCNNConfiguration.self,
  ]
}
