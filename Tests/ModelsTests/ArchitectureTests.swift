import Models
import Testing

@Suite struct ArchitectureTests {
  @Test func defaultsFollowFromWhatIsGiven() throws {
    let c = try #require(
      Architecture("vit(image=32, patch=4, dim=192, depth=12, heads=3, classes=100)")
        .configuration as? ViTConfiguration)
    #expect((c.imageSize, c.patch, c.dim, c.depth, c.heads, c.classes) == (32, 4, 192, 12, 3, 100))
    #expect(c.mlp == 768)
    #expect(c.grid == 8)
    let small = try #require(Architecture("vit(dim=128)").configuration as? ViTConfiguration)
    #expect(small.heads == 2)
    let resnet = try #require(
      Architecture("resnet(depths=[1,1,2],width=16,stem=cifar,block=basic,preact=true)")
        .configuration as? ResNetConfiguration)
    #expect(resnet.depths == [1, 1, 2])
    #expect(resnet.widths == [16, 32, 64])
    #expect(resnet.stemWidth == 16)
    #expect(resnet.imageSize == 32)
    #expect(
      resnet.text
        == "resnet(stem=cifar,image=32,depths=1-1-2,block=basic,classes=1000,preact=true,width=16)")
  }

  @Test func tagsOfTrainingRecipesAreAccepted() throws {
    let tagged = try Architecture("resnet50.a1_in1k")
    #expect(tagged.variant == "resnet50")
  }

  static let wrong: [(String, ModelError.Kind, String)] = [
    ("vit_tiny_patch16_225", .unknownArchitecture, "vit_tiny_patch16_224"),
    ("resnet5O", .unknownArchitecture, "another network"), ("", .unknownArchitecture, ""),
    ("vti(dim=64)", .unknownArchitecture, "vit"), ("vit(dim=64", .badArgument, "parenthesis"),
    ("vit(dmi=64)", .badArgument, "dim"), ("vit(dim)", .badArgument, "name=value"),
    ("vit(=3)", .badArgument, "name=value"), ("vit(dim=64,dim=32)", .badArgument, "twice"),
    ("vit(dim=abc)", .badArgument, "an integer"), ("vit(dim=64,heads=5)", .badArgument, "divisor"),
    ("vit(dim=0)", .badArgument, "65536"), ("vit(dim=9223372036854775807)", .badArgument, "65536"),
    ("vit(patch=0)", .badArgument, "patch"), ("vit(image=8,patch=16)", .badArgument, "patch"),
    ("vit(pool=max)", .badArgument, "one of"), ("vit(qkv-bias=1)", .badArgument, "true or false"),
    ("vit(class-token=false,pool=token)", .badArgument, "class token"),
    ("vit(eps=nan)", .badArgument, "a number"), ("resnet(depths=3-x)", .badArgument, "integers"),
    ("resnet(depths=3-4,widths=8)", .badArgument, "2 numbers"),
    ("resnet(depths=1-1-1-1-1-1-1-1-1)", .badArgument, "1 to 8 numbers"),
    ("resnet(width=8,widths=16-32-64-128)", .badArgument, "first of the widths"),
  ]

  @Test(arguments: wrong)
  func mistakesAreNamed(_ text: String, _ kind: ModelError.Kind, _ word: String) {
    let error = #expect(throws: ModelError.self) { try Architecture(text) }
    #expect(error?.kind == kind)
    #expect(error?.description.contains(word) == true, "\(error?.description ?? "")")
  }

  static let extremes = [
    "-9223372036854775808", "9223372036854775807", "-1", "0", "1", "4611686018427387904",
  ]

  /// Every pair of hyper-parameters at the ends of what an integer can be: a configuration or a
  /// reason, never a trap on the way to one.
  @Test(arguments: [
    "vit", "refiner", "refiner_vit", "resnet", "pit", "mixer", "alternet", "swin",
  ])
  func extremeNumbersAreReadOrRefused(_ name: String) throws {
    func names<C: ModelConfiguration>(_ family: C.Type) -> [String] {
      family.parameters.filter { $0.expectation.contains("integer") }.map(\.name)
    }
    let family = try #require(ModelRegistry.families.first { $0.family == name })
    let parameters = names(family)
    #expect(parameters.count > 4)
    for first in parameters {
      for second in parameters where second > first {
        for (a, b) in Self.extremes.flatMap({ a in Self.extremes.map { (a, $0) } }) {
          do throws(ModelError) {
            let found = try Architecture("\(name)(\(first)=\(a),\(second)=\(b))")
            #expect(found.family == name)
          } catch {
            #expect(error.kind == .badArgument)
          }
        }
      }
    }
  }
}
