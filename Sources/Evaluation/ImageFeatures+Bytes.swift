import Torch

/// Serialisation of features, to send them between processes.
extension ImageFeatures {
    /// The number of images, the lengths of the three kinds (0 if absent), then their elements in float64; read by
    /// `init(bytes:)`.
    var bytes: [UInt8] {
        let parts = [features, logits, spatial]
        let header = [features.size(0)] + parts.map { $0?.size(1) ?? 0 }
        return parts.compactMap { $0 }.reduce(into: header.flatMap { withUnsafeBytes(of: $0, Array.init) }) {
            bytes, part in
            part.to(.cpu).to(.F64).withHostBytes { bytes.append(contentsOf: $0) }
        }
    }

    /// Reads the output of `bytes`; nil for no bytes.
    init?(bytes: [UInt8]) {
        let width = MemoryLayout<Int>.size
        guard bytes.count >= 4 * width else { return nil }
        let header = bytes.withUnsafeBytes { Array($0.bindMemory(to: Int.self).prefix(4)) }
        var offset = 4 * width
        let parts = header.dropFirst().map { length -> Tensor? in
            guard length > 0 else { return nil }
            let end = offset + 8 * header[0] * length
            defer { offset = end }
            return bytes.withUnsafeBytes {
                Tensor(copying: .init(rebasing: $0[offset..<end]), type: .F64, shape: [header[0], length])
            }
        }
        guard let features = parts[0] else { return nil }
        self.init(features: features, logits: parts[1], spatial: parts[2])
    }
}
