/// The central directory at the end of a ZIP archive.
struct ZipDirectory {
    private let file: ByteReader
    private let path: String

    init(bytes: UnsafeRawBufferPointer, path: String) {
        file = ByteReader(bytes)
        self.path = path
    }

    /// The position of the directory and its number of entries.
    private struct Location {
        var count: Int
        var start: Int
        var end: Int
    }

    /// The entries in the order of the directory, each with its data in the part of the file before the directory.
    func entries() throws -> [ZipArchive.Entry] {
        let location = try locate()
        var entries: [ZipArchive.Entry] = []
        entries.reserveCapacity(location.count)
        var names: Set<String> = []
        var position = location.start
        for index in 0..<location.count {
            let entry = try readEntry(&position, number: index + 1, before: location)
            guard names.insert(entry.name).inserted else { throw wrong("entry \(entry.name): occurs twice") }
            entries.append(entry)
        }
        guard position == location.end else { throw wrong("has other bytes within its list of entries") }
        try checkOverlap(entries, end: location.start)
        return entries
    }

    private func wrong(_ problem: String) -> FileError {
        FileError(path, problem, remedy: "copy or pack the archive again")
    }

    private func locate() throws -> Location {
        // The end record has 22 bytes and a comment of at most 65,535.
        let last = file.bytes.count - 22
        var position = last
        while position >= max(0, last - 0xFFFF) {
            if file.uint32(position) == 0x0605_4B50, Int(file.uint16(position + 20) ?? 0) == last - position { break }
            position -= 1
        }
        guard position >= max(0, last - 0xFFFF) else {
            throw wrong("is not a ZIP archive, or its end is missing")
        }
        let disks = (file.uint16(position + 4) ?? 0, file.uint16(position + 6) ?? 0)
        var count = UInt64(file.uint16(position + 10) ?? 0)
        var size = UInt64(file.uint32(position + 12) ?? 0)
        var start = UInt64(file.uint32(position + 16) ?? 0)
        var end = position
        if file.uint32(position - 20) == 0x0706_4B50 {
            guard let record = file.uint64(position - 12).flatMap(Int.init(exactly:)), record <= position - 20 - 56,
                file.uint32(record) == 0x0606_4B50, let longCount = file.uint64(record + 32),
                let longSize = file.uint64(record + 40), let longStart = file.uint64(record + 48)
            else { throw wrong("has a damaged Zip64 end record") }
            (count, size, start, end) = (longCount, longSize, longStart, record)
        } else if disks != (0, 0) {
            throw wrong("is one of several parts of an archive")
        }
        guard let first = Int(exactly: start), let length = Int(exactly: size), first <= end, length <= end - first,
            first + length == end
        else { throw wrong("has a list of entries that does not lie before its end record") }
        guard count <= ZipArchive.maximumEntries else {
            throw wrong("has \(count) entries (limit \(ZipArchive.maximumEntries))")
        }
        // Each directory entry takes 46 bytes and its name.
        guard Int(count) <= length / 46 else { throw wrong("claims more entries than its list can hold") }
        return Location(count: Int(count), start: first, end: end)
    }

    private func readEntry(_ position: inout Int, number: Int, before list: Location) throws -> ZipArchive.Entry {
        guard position <= list.end - 46, file.uint32(position) == 0x0201_4B50,
            let flags = file.uint16(position + 8), let method = file.uint16(position + 10),
            let crc = file.uint32(position + 16), let compressed = file.uint32(position + 20),
            let size = file.uint32(position + 24), let nameCount = file.uint16(position + 28),
            let extraCount = file.uint16(position + 30), let commentCount = file.uint16(position + 32),
            let offset = file.uint32(position + 42),
            let nameBytes = file.slice(position + 46, count: Int(nameCount)),
            let extra = file.slice(position + 46 + Int(nameCount), count: Int(extraCount))
        else { throw wrong("entry number \(number): its record in the list is damaged") }
        position += 46 + Int(nameCount) + Int(extraCount) + Int(commentCount)

        guard let name = String(validating: nameBytes, as: UTF8.self) else {
            throw FileError(path, "entry number \(number): its name is not UTF-8", remedy: "pack with names in UTF-8")
        }
        let numbers = try longNumbers([size, compressed, offset], extra: ByteReader(extra), name: name)
        guard numbers[2] <= list.start, numbers[1] <= list.start - numbers[2] else {
            throw wrong("entry \(name): its data do not lie in the archive")
        }
        return ZipArchive.Entry(
            name: name, compressedCount: numbers[1], count: numbers[0], crc: crc, method: method, flags: flags,
            offset: numbers[2])
    }

    /// Replaces the numbers that do not fit into 32 bits by those in the Zip64 field, which holds only these, in this
    /// order.
    private func longNumbers(_ numbers: [UInt32], extra: ByteReader, name: String) throws -> [Int] {
        guard numbers.contains(.max) else { return numbers.map { Int($0) } }
        var position = 0
        while let kind = extra.uint16(position), let length = extra.uint16(position + 2) {
            if kind == 1, let field = extra.slice(position + 4, count: Int(length)) {
                var next = 0
                var result: [Int] = []
                for number in numbers {
                    if number != .max {
                        result.append(Int(number))
                    } else if let long = ByteReader(field).uint64(next).flatMap(Int.init(exactly:)) {
                        result.append(long)
                        next += 8
                    }
                }
                if result.count == numbers.count { return result }
            }
            position += 4 + Int(length)
        }
        throw wrong("entry \(name): its Zip64 sizes are missing")
    }

    /// Checks that no two entries share bytes: an archive of overlapping entries can inflate to far more than its size.
    private func checkOverlap(_ entries: [ZipArchive.Entry], end: Int) throws {
        let order = entries.indices.sorted { entries[$0].offset < entries[$1].offset }
        for (rank, index) in order.enumerated() {
            let entry = entries[index]
            let limit = rank + 1 < order.count ? entries[order[rank + 1]].offset : end
            guard entry.offset + 30 + entry.name.utf8.count + entry.compressedCount <= limit else {
                throw wrong("entry \(entry.name): its data overlap what follows")
            }
        }
    }
}
