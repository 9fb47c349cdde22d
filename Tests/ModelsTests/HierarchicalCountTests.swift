import Models
import Testing

/// Parameters of Swin, PiT and MLP-Mixer against those of timm 1.0.31 and, for `hdv` and CIFAR names, of
/// xxxnell/how-do-vits-work; of the local family against its repositories' (tensors where they were counted).
@Suite struct HierarchicalCountTests {
  private static let counts: [(String, Int, Int)] = [
    ("swin_tiny_patch4_window7_224", 28_288_354, 173),
    ("swin_small_patch4_window7_224", 49_606_258, 329),
    ("swin_base_patch4_window7_224", 87_768_224, 329),
    ("swin_base_patch4_window12_384", 87_903_584, 329),
    ("swin_large_patch4_window7_224", 196_532_476, 329),
    ("swin_large_patch4_window12_384", 196_735_516, 329),
    ("swin_s3_tiny_224", 28_328_674, 173), ("swin_s3_small_224", 49_737_298, 329),
    ("swin_s3_base_224", 71_125_762, 485), ("swin_ti_cifar100", 27_562_126, 161),
    ("hdv_swin_t", 28_249_588, 156), ("hdv_swin_s", 49_531_360, 300),
    ("hdv_swin_b", 87_667_008, 300),
    ("pit_ti_224", 4_847_272, 160), ("pit_ti_distilled_224", 5_104_336, 162),
    ("pit_xs_224", 10_618_888, 160), ("pit_xs_distilled_224", 11_003_984, 162),
    ("pit_s_224", 23_461_912, 160), ("pit_s_distilled_224", 24_039_056, 162),
    ("pit_b_224", 73_764_840, 172), ("pit_b_distilled_224", 74_790_096, 174),
    ("pit_ti_cifar100", 4_582_436, 160), ("hdv_pit_ti", 4_841_576, 148),
    ("hdv_pit_xs", 9_035_432, 148), ("hdv_pit_s", 23_449_096, 148),
    ("hdv_pit_b", 37_965_288, 159),
    ("mixer_s32_224", 19_104_624, 102), ("mixer_s16_224", 18_528_264, 102),
    ("mixer_b32_224", 60_293_428, 150), ("mixer_b16_224", 59_880_472, 150),
    ("mixer_l32_224", 206_939_264, 294), ("mixer_l16_224", 208_196_168, 294),
    ("dwnet_tiny_patch4_window7_224", 24_172_744, 0),
    ("dwnet_base_patch4_window7_224", 74_347_112, 0),
    ("dynamic_dwnet_tiny_patch4_window7_224", 51_131_752, 0),
    ("dynamic_dwnet_base_patch4_window7_224", 161_597_928, 0),
    ("i_dynamic_dwnet_tiny_patch4_window7_224", 26_244_280, 0),
    ("i_dynamic_dwnet_base_patch4_window7_224", 80_253_608, 0),
    ("rednet26", 9_233_166, 0), ("rednet38", 12_386_986, 0), ("rednet50", 15_540_806, 0),
    ("rednet101", 25_652_950, 0), ("rednet152", 33_984_582, 0),
    ("pvt_tiny", 13_229_288, 0), ("pvt_small", 24_485_864, 0), ("pvt_medium", 44_208_104, 0),
    ("pvt_large", 61_369_320, 0),
    ("volo_d1_224", 26_632_040, 0), ("volo_d2_224", 58_678_336, 0), ("volo_d3_224", 86_325_072, 0),
    ("volo_d4_224", 192_961_520, 0), ("volo_d5_224", 295_455_584, 0),
    ("sasa_resnet26_cifar10", 8_306_442, 0), ("sasa_resnet38_cifar10", 12_154_442, 0),
    ("sasa_resnet50_cifar10", 16_002_442, 0), ("sasa(stem=cifar,depths=1-2-4-1)", 10_334_952, 0),
    ("sasa(stem=attention,form=published,depths=1-2-4-1,classes=10)", 8_306_634, 0),
    ("sasa(stem=cifar,depths=2-3-5-2)", 14_182_952, 0), ("sasa(stem=cifar)", 18_030_952, 0),
    ("hdv_convit_ti", 5_710_120, 0), ("hdv_convit_s", 22_036_072, 0),
    ("hdv_convit_b", 86_538_472, 0), ("hdv_convit_l", 304_250_856, 0),
    ("hdv_convit_h", 632_073_960, 0),
    ("leaderj1001_aa_wide_resnet28_10_cifar100", 206_229_580, 0),
    ("aa_wide_resnet28_10_cifar100", 36_321_428, 0),
    ("attention_cnn_quadratic", 12_086_844, 0), ("attention_cnn_generalized", 12_087_006, 0),
    ("attention_cnn_learned", 12_278_682, 0), ("attention_cnn_learned_content", 29_601_882, 0),
  ]

  @Test(arguments: counts)
  func hasTheReferencesParameters(_ name: String, _ count: Int, _ tensors: Int) throws {
    let summary = try ModelSummary(Architecture(name))
    #expect(summary.parameterCount == count)
    // Some tensors of files with queries and keys apart are one here.
    if tensors > 0, !name.hasPrefix("hdv") { #expect(summary.parameters.count == tensors) }
  }
}
