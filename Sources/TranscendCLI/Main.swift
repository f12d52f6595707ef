import Transcend
@main struct Main { static func main() throws {
    for r in try Verification.run(directory: CommandLine.arguments[1]) { print(r.file, r.kind, r.values, r.worstError, r.worstName, r.tolerance, r.outcome) }
} }
