import Formats

/// The records of a shard while they are being collected.
public struct ShardContent: Sendable {
    let layout: RecordLayout
    let featureLayouts: [FeatureLayout]
    private(set) var entries: [ImageEntry] = []
    private(set) var skipped: [String] = []
    private(set) var sums: ChannelSums
    private var records: [UInt8] = []
    private var mirrored: [UInt8] = []
    private var features: [EncodedFeatures]

    /// Creates an empty shard with these record and feature layouts.
    public init(layout: RecordLayout, features: [FeatureLayout] = []) {
        self.layout = layout
        featureLayouts = features
        self.features = features.map { _ in EncodedFeatures() }
        sums = ChannelSums(channels: layout.channels)
    }

    /// Appends pictures with their records, one after another as bytes in the layout's type, the records of their
    /// mirror images if the layout has them, and the features of each encoder.
    public mutating func append(
        _ entries: [ImageEntry], records: [UInt8], mirrored: [UInt8] = [], features: [EncodedFeatures] = []
    ) {
        precondition(records.count == entries.count * layout.byteCount)
        precondition(mirrored.count == (layout.hasMirrored ? records.count : 0))
        precondition(features.count == featureLayouts.count)
        for (index, one) in features.enumerated() {
            precondition(one.plain.count == entries.count * featureLayouts[index].byteCount)
            precondition(one.mirrored.count == (featureLayouts[index].hasMirrored ? one.plain.count : 0))
            self.features[index] += one
        }
        self.entries += entries
        self.records += records
        self.mirrored += mirrored
        withUnsafeTemporaryAllocation(of: Float.self, capacity: layout.elementCount) { numbers in
            records.withUnsafeBytes { bytes in
                for start in stride(from: 0, to: bytes.count, by: layout.byteCount) {
                    let record = UnsafeRawBufferPointer(rebasing: bytes[start..<start + layout.byteCount])
                    copyNumbers(record, of: layout.type, into: numbers)
                    sums.add(UnsafeBufferPointer(numbers), layout: layout)
                }
            }
        }
    }

    /// Records a picture that was left out.
    public mutating func skip(_ name: String) { skipped.append(name) }

    /// Writes the shard atomically.
    func write(to path: String) throws {
        var names: [UInt8] = []
        let ends = entries.map { entry in
            names += entry.name.utf8
            return names.count
        }
        let shape = [entries.count] + layout.shape
        var tensors: [(SafetensorsFile.Description, [UInt8])] = [
            (.init("records", layout.type, shape), records),
            (.init("labels", .I64, [entries.count]), entries.map(\.label).withUnsafeBytes { Array($0) }),
            (.init("name_ends", .I64, [entries.count]), ends.withUnsafeBytes { Array($0) }),
            (.init("names", .U8, [names.count]), names),
        ]
        if layout.hasMirrored { tensors.append((.init("mirrored", layout.type, shape), mirrored)) }
        for (index, (one, layout)) in zip(features, featureLayouts).enumerated() {
            let shape = [entries.count, layout.tokens, layout.width]
            for mirrored in layout.hasMirrored ? [false, true] : [false] {
                let name = FeatureLayout.tensorName(index, mirrored: mirrored)
                tensors.append((.init(name, .F16, shape), mirrored ? one.mirrored : one.plain))
            }
        }
        try SafetensorsFile.write(to: path, tensors: tensors.map(\.0)) { index, writer in
            try writer.write(tensors[index].1)
        }
    }
}
