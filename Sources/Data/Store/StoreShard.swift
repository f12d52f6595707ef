import Formats

/// One mapped file of records: a safetensors file with `records` [N, ...], optionally `mirrored`, `labels` [N], the
/// names of the pictures as UTF-8 (`names`) with the end of each (`name_ends` [N]), and for each encoder e `features.e`
/// [N, tokens, width] in float16, optionally with `features.e.mirrored`.
struct StoreShard: Sendable {
    private let file: SafetensorsFile
    private let records: Range<Int>
    private let mirrored: Range<Int>?
    private let labels: Range<Int>
    private let nameEnds: Range<Int>
    private let names: Range<Int>
    private let recordSize: Int
    /// For each encoder: the byte ranges of the features of the pictures and of their mirror images, and the bytes per
    /// picture.
    private let features: [(plain: Range<Int>, mirrored: Range<Int>?, size: Int)]

    static func fileName(_ index: Int) -> String {
        let digits = String(index)
        return "shard-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".safetensors"
    }

    /// Maps the file at `path`, which must be the one that the manifest describes, with labels of so many classes; throws
    /// a `FileError`.
    init(
        path: String, _ shard: StoreManifest.Shard, layout: RecordLayout, classes: Int, features: [FeatureLayout]
    ) throws {
        let file = try SafetensorsFile(path: path, randomAccess: true)
        func range(_ name: String, _ type: ElementType, _ shape: [Int]?) throws -> Range<Int> {
            guard let entry = file.entries[name], entry.type == type, shape == nil || entry.shape == shape else {
                throw FileError(
                    path, "does not hold the \(name) that the manifest describes", remedy: "copy the store again")
            }
            return entry.range
        }
        let shape = [shard.records] + layout.shape
        records = try range("records", layout.type, shape)
        mirrored = layout.hasMirrored ? try range("mirrored", layout.type, shape) : nil
        labels = try range("labels", .I64, [shard.records])
        nameEnds = try range("name_ends", .I64, [shard.records])
        names = try range("names", .U8, nil)
        recordSize = layout.byteCount
        self.features = try features.enumerated().map { index, one in
            func of(mirrored: Bool) throws -> Range<Int> {
                let name = FeatureLayout.tensorName(index, mirrored: mirrored)
                return try range(name, .F16, [shard.records, one.tokens, one.width])
            }
            return (try of(mirrored: false), one.hasMirrored ? try of(mirrored: true) : nil, one.byteCount)
        }
        self.file = file
        for place in 0..<shard.records where !(0..<classes).contains(label(place)) {
            throw FileError(
                path, "gives record \(place) the label \(label(place)), where the store has \(classes) classes",
                remedy: "copy the store again")
        }
    }

    func label(_ index: Int) -> Int { number(labels, index) }

    func name(_ index: Int) -> String {
        let start = index == 0 ? 0 : number(nameEnds, index - 1)
        let end = number(nameEnds, index)
        guard 0 <= start, start <= end, end <= names.count else { return "" }
        let place = names.lowerBound
        return file.mapping.withBytes { String(decoding: $0[place + start..<place + end], as: UTF8.self) }
    }

    /// Calls `body` with the bytes of a record; mirrored records must exist if requested.
    func withRecord<Result>(_ index: Int, mirrored: Bool, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        try withBytes(index, of: mirrored ? self.mirrored : records, size: recordSize, body)
    }

    /// Calls `body` with the bytes of a picture's features by one encoder.
    func withFeatures<Result>(
        _ index: Int, of encoder: Int, mirrored: Bool, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        let one = features[encoder]
        return try withBytes(index, of: mirrored ? one.mirrored : one.plain, size: one.size, body)
    }

    private func withBytes<Result>(
        _ index: Int, of range: Range<Int>?, size: Int, _ body: (UnsafeRawBufferPointer) throws -> Result
    ) rethrows -> Result {
        guard let range else { preconditionFailure("there are none of mirror images") }
        let start = range.lowerBound + index * size
        precondition(index >= 0 && start + size <= range.upperBound)
        file.mapping.willRead(start..<start + size)
        return try file.mapping.withBytes { try body(UnsafeRawBufferPointer(rebasing: $0[start..<start + size])) }
    }

    private func number(_ range: Range<Int>, _ index: Int) -> Int {
        precondition(index >= 0 && 8 * index < range.count)
        return file.mapping.withBytes { $0.loadUnaligned(fromByteOffset: range.lowerBound + 8 * index, as: Int.self) }
    }
}
