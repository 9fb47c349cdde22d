import Checkpoints
import Models
import Tensors
import Testing

/// A checkpoint of one family that is named as another.
@Suite struct FamilyConfusionTests {
  /// One small network of each family.
  static let architectures = [
    "vit(image=32,patch=8,dim=24,depth=2,heads=3,classes=7)",
    "resnet(stem=cifar,image=32,depths=1-1,block=basic,width=6,classes=7)",
    "refiner_vit(image=32,patch=8,dim=24,depth=2,heads=3,classes=7)",
    "refiner(image=32,patch=8,dim=24,depth=2,heads=3,expand=2,classes=7)",
    "alternet(image=32,stem=cifar,depths=1-2-2,msa=0-1-1,block=basic,width=6,heads=1-1-2,"
      + "head-dim=6,window=4,classes=7)",
    "swin(image=32,patch=2,window=4,dim=12,depths=2-2,heads=2-3,classes=7)",
    "swin(form=how-do-vits-work,image=32,patch=2,window=4,dim=12,depths=2-2,head-dim=6,heads=2-3,"
      + "classes=7)",
    "pit(image=32,patch=8,stride=4,dims=12-24,depths=1-2,heads=2-3,classes=7)",
    "mixer(image=32,patch=8,dim=24,depth=2,classes=7)",
    "dwnet(image=32,patch=4,dim=8,depths=1-1,window=3,classes=7)",
    "dwnet(kernels=dynamic,image=32,patch=4,dim=8,depths=1-1,window=5,classes=7)",
    "rednet(image=32,depths=1-1,width=16,stem-width=32,classes=7)",
    "pvt(image=32,patch=4,dims=8-12,depths=1-1,heads=2-3,classes=7)",
    "volo(image=32,dims=8-16,depths=1-1,heads=2-4,stem-width=8,classes=7)",
    "sasa(stem=cifar,image=16,depths=1-1,width=8,heads=2,window=3,classes=7)",
    "convit(image=32,patch=8,dim=24,depth=2,heads=3,kernel=3,classes=7)",
    "aa_wide_resnet(image=8,depths=1-1,widths=4-4-8,keys=8-8-16,values=2-2-4,heads=2,classes=7)",
    "attention_cnn(image=16,dim=8,depth=2,heads=3,mlp=12,positions=quadratic,classes=7)",
    "attention_cnn(image=16,dim=8,depth=2,heads=3,mlp=12,positions=learned,classes=7)",
    "resnet(stem=cifar,image=16,depths=2-1,block=basic,width=6,gate=nl,squeeze=4-8,non-local=0,classes=7)",
  ]

  @Test func everyFamilyIsAmongThem() throws {
    let families = try Set(Self.architectures.map { try Architecture($0).family })
    #expect(families == Set(ModelRegistry.families.map { $0.family }))
  }

  /// The family is found, and every other name is refused in words that say both.
  @Test(arguments: architectures)
  func otherFamiliesAreRefused(_ text: String) throws {
    let own = try Architecture(text)
    let tensors = try ModelSummary(own).parameters.map { ($0.name, $0.storedShape) }
    try withHollowCheckpoint(tensors) { checkpoint in
      do throws(ModelError) {
        let found = try ModelLoader.detect(checkpoint)
        #expect(found.family == own.family)
      } catch {
        // The weights of some families do not tell their heads, which is asked for.
        #expect(error.description.contains("\(own.family)(…"), "\(error)")
      }
      for other in Self.architectures where other != text {
        let asked = try Architecture(other)
        let error = #expect(throws: ModelError.self, "\(own.family) as \(asked.family)") {
          try ModelLoader.load(checkpoint, as: asked)
        }
        #expect(error?.kind == .conflict, "\(own.family) as \(asked.family)")
        guard asked.family != own.family else { continue }
        #expect(error?.description.contains("the family \(own.family)") == true)
        #expect(error?.description.contains(asked.family) == true)
      }
    }
  }
}
