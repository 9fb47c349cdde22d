"""Writes Sources/VitProbe/Data/ImageNetClasses.swift: the 1000 classes of ImageNet-1k in the order of the heads.

python imagenet_classes.py, from the root of the package; with timm 1.0.31 and torchvision 0.29.2. WordNet ids and lemmas
are timm's, the name after the id is torchvision's. All are facts of WordNet and of the data set.
"""
import os

import timm
from torchvision.models._meta import _IMAGENET_CATEGORIES as categories

info = os.path.join(os.path.dirname(timm.__file__), "data", "_info")
synsets = open(os.path.join(info, "imagenet_synsets.txt")).read().split()
lemmas = dict(
    line.rstrip("\n").split("\t") for line in open(os.path.join(info, "imagenet_synset_to_lemma.txt")) if "\t" in line)
assert len(synsets) == len(categories) == len(set(categories)) == 1000
with open("Sources/VitProbe/Data/ImageNetClasses.swift", "w") as out:
    out.write('''// swift-format-ignore-file
// Written by notebooks-data/make/imagenet_classes.py.

/// The classes of ImageNet-1k in the order of the outputs of its models: WordNet id, torchvision's name, and
/// the lemmas, which are synonyms.
enum ImageNetClasses {
  /// The classes by what they are called.
  static let names = ClassNames(
    table.split(separator: "\\n").map { line in
      let parts = line.split(separator: "|", omittingEmptySubsequences: false).map(String.init)
      return ClassNames.Entry(names: Array(parts.prefix(2)), synonyms: parts.suffix(1))
    })

  private static let table = """
''')
    for synset, name in zip(synsets, categories):
        assert "|" not in name + lemmas[synset] and "\\" not in name + lemmas[synset]
        out.write(f"    {synset}|{name}|{lemmas[synset]}\n")
    out.write('    """\n}\n')
