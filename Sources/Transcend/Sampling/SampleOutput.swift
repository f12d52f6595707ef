import Data
import Formats
import Foundation

/// The output of a sampling job: a grid, an array, or single pictures, depending on the form of the path.
///
/// An array and a folder can be continued by another process: beside the unfinished output is a record of the job and
/// its progress.
public final class SampleOutput {
    /// The path given by the user; its form decides what is written.
    public let path: String
    /// The number of samples that exist already; all of the job's if it is done.
    public private(set) var count = 0

    private let job: SamplingJob
    private let isDone: Bool
    private var sink: any SampleSink
    /// Whether this process has written the record of unfinished output.
    private var hasRecord = false
    /// The folders that did not exist before.
    private let newFolders: [String]

    /// Opens the output. `NAME.png` is a grid, `NAME.npz` an array `arr_0` of uint8 [N, H, W, 3] with its labels in
    /// `arr_1`, anything else a folder of PNGs. Continues where an earlier process ended. Throws before any work is
    /// done if nothing can be written there, or if the existing output belongs to another job.
    public init(path: String, of job: SamplingJob) throws {
        (self.path, self.job) = (path, job)
        let url = URL(fileURLWithPath: path)
        let kind = url.pathExtension.lowercased()
        if Self.otherFiles.contains(kind) {
            throw ConfigurationError("--out \(path): samples are not written as .\(kind); give .png, .npz or a folder")
        }
        let isFile = ["png", "npz"].contains(kind)
        newFolders = try makeFolder(isFile ? url.deletingLastPathComponent().path : path)
        switch kind {
        case "png": sink = GridSink(path: path, job: job)
        case "npz": sink = ArraySink(path: path, job: job)
        default: sink = FolderSink(path: path)
        }
        let isStamped = SampleStamp.read(ofSamples: path) == job.stamp
        let present = isStamped ? sink.presentCount(of: job.stamp.samples) : nil
        isDone = present == job.stamp.samples
        if let present {
            count = present
        } else {
            let record = try sink.record.flatMap { try SamplingRecord.read($0) }
            if let record, record.job != job.stamp {
                throw FileError(
                    sink.record ?? path, "belongs to samples of other settings",
                    remedy: "give those settings, another --out, or remove it")
            }
            count = try sink.open(after: record)
        }
    }

    /// If nothing could be drawn, nothing is left behind.
    deinit {
        if count == 0 { abandon() }
        removeEmptyFolders(newFolders)
    }

    private func abandon() {
        sink.abandon()
        if hasRecord, let record = sink.record { unlink(record) }
    }

    /// File extensions that are refused in folder names.
    private static let otherFiles: Set = ["jpg", "jpeg", "webp", "gif", "bmp", "tif", "tiff", "npy", "pt", "zip"]

    /// Appends pictures, the first of which has index `first` in the job; those that exist already are skipped.
    func append(_ images: [RGBImage], from first: Int) throws {
        precondition(first <= count, "no sample is left out")
        let new = Array(images.dropFirst(count - first))
        guard !new.isEmpty else { return }
        let size = [new[0].height, new[0].width]
        // A folder shows its first pictures before the batch is complete; they are known as those of this job.
        if count == 0, sink is FolderSink { try record(size: size, checksum: nil) }
        let checksum = try sink.append(new, from: count)
        count += new.count
        try record(size: size, checksum: checksum)
    }

    private func record(size: [Int], checksum: String?) throws {
        guard let path = sink.record else { return }
        hasRecord = true
        try SamplingRecord(job: job.stamp, count: count, size: size, checksum: checksum).write(to: path)
    }

    /// Completes the output and writes the stamp of the job.
    func finish() throws {
        guard !isDone else { return }
        try sink.finish()
        guard let record = sink.record else { return }
        try job.stamp.write(besides: path)
        unlink(record)
    }
}

/// The progress of a job whose samples are not complete.
private struct SamplingRecord: Codable {
    let job: SampleStamp
    let count: Int
    /// The height and width of the pictures.
    let size: [Int]
    /// The checksum of an array's samples so far.
    var checksum: String?

    static func read(_ path: String) throws -> SamplingRecord? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        let document = try JSONValue.read(path: path)
        guard let record = try? document.decoded(as: SamplingRecord.self),
            (0...record.job.samples).contains(record.count), record.size.count == 2,
            record.size.allSatisfy({ $0 > 0 })
        else { throw FileError(path, "is no record of unfinished samples", remedy: "remove it to begin anew") }
        return record
    }

    func write(to path: String) throws {
        let text = try JSONValue(encoding: self).text() + "\n"
        try AtomicFile.write(text, to: path)
    }
}

/// One form of output.
private protocol SampleSink: AnyObject {
    /// The record of unfinished output; nil if it cannot be continued.
    var record: String? { get }
    /// The number of existing samples out of `samples`, from the first one on, if their stamp exists; nil if the output has
    /// to be opened anew.
    func presentCount(of samples: Int) -> Int?
    /// Begins, or continues after the record; returns the number of existing samples. Throws if it cannot.
    func open(after record: SamplingRecord?) throws -> Int
    /// Appends pictures. If they can be continued, they are on the disk when it returns, and the result is the checksum
    /// of all so far.
    func append(_ images: [RGBImage], from first: Int) throws -> String?
    func finish() throws
    /// Removes unfinished output.
    func abandon()
}

private final class GridSink: SampleSink {
    let record: String? = nil
    private let path: String
    private let job: SamplingJob
    private var images: [RGBImage] = []

    init(path: String, job: SamplingJob) { (self.path, self.job) = (path, job) }

    func presentCount(of samples: Int) -> Int? { nil }

    func open(after record: SamplingRecord?) throws -> Int {
        try AtomicFile.check(path)
        return 0
    }

    func append(_ images: [RGBImage], from first: Int) -> String? {
        self.images += images
        return nil
    }

    func finish() throws {
        let grid = ImageGrid(
            images, columns: job.labels.columns, rowLabels: job.labels.rows.map { job.classNames[$0] })
        try ImageFile.writePNG(grid.render(), to: path)
    }

    func abandon() {}
}

private final class ArraySink: SampleSink {
    private let path: String
    private let job: SamplingJob
    private var writer: NpzWriter?

    private var unfinished: String { FileWriter.unfinishedPath(of: path) }
    var record: String? { unfinished + ".json" }

    init(path: String, job: SamplingJob) { (self.path, self.job) = (path, job) }

    func presentCount(of samples: Int) -> Int? { FileManager.default.fileExists(atPath: path) ? samples : nil }

    func open(after record: SamplingRecord?) throws -> Int {
        try AtomicFile.check(path)
        let stamp = SampleStamp.path(ofSamples: path)
        if FileManager.default.fileExists(atPath: stamp), SampleStamp.read(ofSamples: path) == nil {
            throw FileError(stamp, "is no stamp of samples", remedy: "move it, or give another --out")
        }
        if let record, isComplete(record) { return record.count }
        let writer = try NpzWriter(continuing: path)
        if let record {
            try writer.beginArray(itemShape: record.size + [3])
            guard try writer.adopt(items: record.count, checksum: record.checksum ?? "") else {
                throw FileError(
                    unfinished, "is damaged (its checksum is wrong)",
                    remedy: "remove it and \(self.record ?? "its record")"
                )
            }
        }
        self.writer = writer
        return record?.count ?? 0
    }

    /// Whether the earlier process ended between renaming the file and writing the stamp, which it had removed before.
    private func isComplete(_ record: SamplingRecord) -> Bool {
        let isThere = { FileManager.default.fileExists(atPath: $0) }
        return record.count == job.stamp.samples && isThere(path) && !isThere(unfinished)
            && !isThere(SampleStamp.path(ofSamples: path))
    }

    func append(_ images: [RGBImage], from first: Int) throws -> String? {
        if first == 0 { try writer?.beginArray(itemShape: [images[0].height, images[0].width, 3]) }
        for image in images { try writer?.append(image.pixels) }
        return try writer?.synchronize()
    }

    func finish() throws {
        try writer?.beginArray("arr_1", type: .I64, itemShape: [])
        try job.labels.labels.map(Int64.init).withUnsafeBytes { try writer?.append($0) }
        // The stamp of an earlier file with this name.
        unlink(SampleStamp.path(ofSamples: path))
        try writer?.finish()
    }

    func abandon() {
        guard writer != nil else { return }
        writer = nil
        unlink(unfinished)
    }
}

private final class FolderSink: SampleSink {
    private let path: String
    /// The number of pictures of the first batch, which `abandon` removes, that may exist.
    private var firstCount = 0

    var record: String? { path + "/.unfinished.json" }

    init(path: String) { self.path = path }

    func presentCount(of samples: Int) -> Int? { firstMissing(of: samples) }

    private func firstMissing(of samples: Int) -> Int {
        (0..<samples).first { !FileManager.default.fileExists(atPath: picture($0)) } ?? samples
    }

    /// Old samples with other numbers would be mistaken for new ones, and so would the pictures of a data set.
    func open(after record: SamplingRecord?) throws -> Int {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        if record == nil, let other = names.filter({ !$0.hasPrefix(".") }).min() {
            throw FileError(path, "is not empty (\(other))", remedy: "give another --out")
        }
        for name in names where name.hasPrefix(".") && name.contains(FileWriter.partialMark) {
            unlink(path + "/" + name)
        }
        try AtomicFile.check(picture(0))
        return firstMissing(of: record?.count ?? 0)
    }

    private func picture(_ index: Int) -> String {
        let digits = String(index)
        return path + "/" + String(repeating: "0", count: max(0, 6 - digits.count)) + digits + ".png"
    }

    func append(_ images: [RGBImage], from first: Int) throws -> String? {
        if first == 0 { firstCount = images.count }
        for (index, image) in images.enumerated() {
            try ImageFile.writePNG(image, to: picture(first + index))
        }
        return nil
    }

    func finish() {}

    func abandon() {
        for index in 0..<firstCount { unlink(picture(index)) }
    }
}
