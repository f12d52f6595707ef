import Data
import Formats
import Foundation

extension RunDirectory {
    /// The path of the list of images that the run leaves out: one line each, with name, a tab and the reason.
    public var skippedImagesPath: String { path + "/skipped-images.txt" }

    /// Writes that list or, for a continued run, checks that it leaves out the same images as before: the order of all
    /// others depends on it. Throws a `ConfigurationError` if it does not, a `FileError` if the list cannot be written.
    func store(skipped: [BadImage], isContinued: Bool) throws {
        let lines = skipped.map { image in
            [image.name, image.reason].map { $0.map { $0.isNewline || $0 == "\t" ? " " : $0 } }.map { String($0) }
        }
        if isContinued {
            let text = (try? String(contentsOfFile: skippedImagesPath, encoding: .utf8)) ?? ""
            let before = text.split(separator: "\n").map { $0.prefix { $0 != "\t" } }
            guard before.map(String.init) == lines.map({ $0[0] }) else {
                throw ConfigurationError(
                    "\(skippedImagesPath): the run began without \(before.count) images, now \(lines.count) cannot be "
                        + "used, or other ones; give the same data or another --out")
            }
        } else if lines.isEmpty {
            unlink(skippedImagesPath)
        } else {
            let text = lines.map { "\($0[0])\t\($0[1])\n" }.joined()
            try AtomicFile.write(text, to: skippedImagesPath)
        }
    }

    /// A sentence on how many images are left out, with the first of them; nil if there are none.
    func note(on skipped: [BadImage], of count: Int) -> String? {
        guard !skipped.isEmpty else { return nil }
        let first = skipped.prefix(3).map { "\($0.name) (\($0.reason))" }.joined(separator: ", ")
        let more = skipped.count > 3 ? ", ..." : ""
        return
            "skipped \(skipped.count) of \(count + skipped.count) images: \(first)\(more); all are in \(skippedImagesPath)"
    }
}
