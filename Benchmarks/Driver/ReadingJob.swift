import Checkpoints
import Models

/// Reads a checkpoint and adds up all its values as 32-bit words, so that every byte is looked at:
/// `path`. The values of a `torch.save` file are compared with its CRC-32s as well.
@Sendable func readingJob(_ arguments: Arguments) throws -> Measurement {
  let path = arguments.text("path", "weights.safetensors")
  var sum: UInt64 = 0
  var bytes = 0
  var measurement = try Measurement(repeats: try arguments.integer("repeats", 3)) {
    sum = 0
    bytes = 0
    for tensor in try Checkpoint.open(path).tensors {
      let payload = try tensor.payload()
      payload.withBytes { words in
        bytes += words.count
        // Loads of the bytes as they lie in the file; both sides write little-endian words.
        for place in stride(from: 0, to: words.count / 4 * 4, by: 4) {
          sum &+= UInt64(words.loadUnaligned(fromByteOffset: place, as: UInt32.self))
        }
      }
    }
  }
  measurement.add("words", text: "\(sum)")
  measurement.add("mib_per_second", Double(bytes) / 1_048_576 / measurement.seconds)
  return measurement
}

/// Opens an exported graph and makes the network of it, weights and all: `path`.
@Sendable func openingJob(_ arguments: Arguments) throws -> Measurement {
  let path = arguments.text("path", "model.pt2")
  var parameters = 0
  var measurement = try Measurement(repeats: try arguments.integer("repeats", 3)) {
    parameters = try graph(path).parameters.count
  }
  measurement.add("parameters", Double(parameters))
  return measurement
}
