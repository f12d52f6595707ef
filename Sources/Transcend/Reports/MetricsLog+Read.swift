import Foundation

extension MetricsLog {
    /// All rows of a metrics file, in its order; an incomplete line at the end, as a crash leaves it, is left out.
    ///
    /// Throws `MetricsError` if the file can't be read or a complete line is not a row.
    public static func read(path: String) throws -> [MetricsRow] {
        try completeLines(of: contents(path)).enumerated().map { index, line in
            guard let row = row(line) else { throw MetricsError.damagedLine(path: path, line: index + 1) }
            return row
        }
    }

    /// Takes back what was logged after step `toStep`, from where a run is about to be continued.
    ///
    /// Incomplete and unreadable lines are dropped too. The file is replaced as a whole, so that a crash leaves the
    /// old or the new one; if there is nothing to take back or no file, nothing is written. No `MetricsLog` may be
    /// open on it. Throws `MetricsError` if the file can't be read or replaced.
    public static func cutBack(path: String, toStep last: Int) throws {
        guard access(path, F_OK) == 0 else { return }
        let old = try contents(path)
        var kept = Foundation.Data(capacity: old.count)
        for line in completeLines(of: old) where row(line).map({ $0.step <= last }) ?? false {
            kept += line
            kept.append(newline)
        }
        if kept != old { try replace(path, with: kept) }
    }

    private static let newline = UInt8(ascii: "\n")

    private static func contents(_ path: String) throws -> Foundation.Data {
        do {
            return try Foundation.Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            let code = (error as NSError).userInfo[NSUnderlyingErrorKey] as? NSError
            throw MetricsError.system("read", path: path, code: code.map { Int32($0.code) } ?? EIO)
        }
    }

    private static func completeLines(of data: Foundation.Data) -> [Foundation.Data] {
        guard let last = data.lastIndex(of: newline) else { return [] }
        return data[..<last].split(separator: newline, omittingEmptySubsequences: false)
    }

    private static func row(_ line: Foundation.Data) -> MetricsRow? {
        guard let object = try? JSONSerialization.jsonObject(with: line) as? [String: Any],
            let step = object["step"] as? Int, let stage = object["stage"] as? String
        else { return nil }
        var row = MetricsRow(step: step, stage: stage, values: [:])
        for (name, value) in object where name != "step" && name != "stage" {
            switch value {
            case let number as NSNumber: row.values[name] = number.doubleValue
            case "nan" as String: row.values[name] = .nan
            case "inf" as String: row.values[name] = .infinity
            case "-inf" as String: row.values[name] = -.infinity
            default: return nil
            }
        }
        return row
    }

    /// Writes a file beside `path`, waits until it is on the disk and gives it the name.
    private static func replace(_ path: String, with data: Foundation.Data) throws {
        let temporary = path + ".new"
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw MetricsError.system("create", path: temporary) }
        let isWritten = data.withUnsafeBytes { bytes in
            var done = 0
            while done < bytes.count {
                let count = write(descriptor, bytes.baseAddress! + done, bytes.count - done)
                if count < 0, errno != EINTR { return false }
                done += max(0, count)
            }
            return fsync(descriptor) == 0
        }
        let code = errno
        close(descriptor)
        guard isWritten, rename(temporary, path) == 0 else {
            let error = MetricsError.system("replace", path: path, code: isWritten ? errno : code)
            unlink(temporary)
            throw error
        }
        // The new name itself is on the disk only once the folder is.
        let folder = open((path as NSString).deletingLastPathComponent.nonEmpty ?? ".", O_RDONLY | O_CLOEXEC)
        if folder >= 0 {
            fsync(folder)
            close(folder)
        }
    }
}

extension String {
    fileprivate var nonEmpty: String? { isEmpty ? nil : self }
}
