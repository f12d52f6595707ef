import Formats

/// One mapped file of records: a safetensors file with `records` [N, ...], `mirrored` if there are any, `labels` [N], and
/// the names of the pictures as UTF-8 (`names`) with the end of each (`name_ends` [N]).
struct StoreShard: Sendable {
    private let file: SafetensorsFile
    private let records: Range<Int>
    private let mirrored: Range<Int>?
    private let labels: Range<Int>
    private let nameEnds: Range<Int>
    private let names: Range<Int>
    private let recordSize: Int

    static func fileName(_ index: Int) -> String {
        let digits = String(index)
        return "shard-" + String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".safetensors"
    }

    /// Maps the file at `path`, which has to be the one that the manifest describes; throws a `FileError`.
    init(path: String, _ shard: StoreManifest.Shard, layout: RecordLayout) throws {
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
        self.file = file
    }

    func label(_ index: Int) -> Int { number(labels, index) }

    func name(_ index: Int) -> String {
        let start = index == 0 ? 0 : number(nameEnds, index - 1)
        let end = number(nameEnds, index)
        guard 0 <= start, start <= end, end <= names.count else { return "" }
        let place = names.lowerBound
        return file.mapping.withBytes { String(decoding: $0[place + start..<place + end], as: UTF8.self) }
    }

    /// Calls `body` with the bytes of a record; mirrored ones have to be there if asked for.
    func withRecord<Result>(_ index: Int, mirrored: Bool, _ body: (UnsafeRawBufferPointer) throws -> Result) rethrows
        -> Result
    {
        guard let range = mirrored ? self.mirrored : records else { preconditionFailure("no mirrored records") }
        let start = range.lowerBound + index * recordSize
        precondition(index >= 0 && start + recordSize <= range.upperBound)
        file.mapping.willRead(start..<start + recordSize)
        return try file.mapping.withBytes {
            try body(UnsafeRawBufferPointer(rebasing: $0[start..<start + recordSize]))
        }
    }

    private func number(_ range: Range<Int>, _ index: Int) -> Int {
        precondition(index >= 0 && 8 * index < range.count)
        return file.mapping.withBytes { $0.loadUnaligned(fromByteOffset: range.lowerBound + 8 * index, as: Int.self) }
    }
}

/// The records of a shard while they are gathered.
public struct ShardContent: Sendable {
    let layout: RecordLayout
    private(set) var entries: [ImageEntry] = []
    private(set) var skipped: [String] = []
    private(set) var sums: ChannelSums
    private var records: [UInt8] = []
    private var mirrored: [UInt8] = []

    /// An empty shard of records of this layout.
    public init(layout: RecordLayout) {
        self.layout = layout
        sums = ChannelSums(channels: layout.channels)
    }

    /// Appends pictures with their records, one after another as bytes in the layout's type, and those of their mirror
    /// images if the layout has them.
    public mutating func append(_ entries: [ImageEntry], records: [UInt8], mirrored: [UInt8] = []) {
        precondition(records.count == entries.count * layout.byteCount)
        precondition(mirrored.count == (layout.hasMirrored ? records.count : 0))
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

    /// Notes a picture that was left out.
    public mutating func skip(_ name: String) { skipped.append(name) }

    /// Writes the shard, whole or not at all.
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
        try SafetensorsFile.write(to: path, tensors: tensors.map(\.0)) { index, writer in
            try writer.write(tensors[index].1)
        }
    }
}
