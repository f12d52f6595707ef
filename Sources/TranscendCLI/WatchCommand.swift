import ArgumentParser
import Foundation
import Transcend

struct WatchCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "watch",
        abstract: "Show how a run of another process goes: numbers, their course, time left.",
        discussion: """
            On a terminal the picture is renewed every second until the run ends or Ctrl-C; elsewhere it is printed \
            once. It only reads. NO_COLOR switches colours off.
            """)

    @Argument(help: "Folder of a run or of a pipeline.", completion: .directory)
    var folder: String
    @Flag(help: "Print the present state and stop.")
    var once = false

    func run() throws {
        let terminal = Terminal.output
        var watch = try RunWatch(path: absolute(folder))
        guard terminal.canRewrite, !once else {
            let width = terminal.canRewrite ? terminal.size.columns : nil
            let view = WatchView(try watch.look(), width: width, hasColors: terminal.hasColors)
            return print(view.lines.joined(separator: "\n"))
        }
        var shown = Frame(lines: 0, columns: 0)
        while true {
            let snapshot = try watch.look()
            shown = draw(snapshot, over: shown, on: terminal)
            guard case .running = snapshot.activity else { return }
            Thread.sleep(forTimeInterval: 1)
        }
    }

    private struct Frame {
        let lines: Int
        let columns: Int
    }

    /// Draws the frame over the last one in a single write, so that nothing flickers.
    private func draw(_ snapshot: RunSnapshot, over last: Frame, on terminal: Terminal) -> Frame {
        let size = terminal.size
        // One column and one row stay free, since some terminals scroll at the last ones.
        let view = WatchView(snapshot, width: size.columns - 1, hasColors: terminal.hasColors)
        let lines = view.lines.prefix(max(1, size.rows - 1))
        // In a resized window the last frame has been wrapped differently.
        let isMoved = last.lines > 0 && last.columns != size.columns
        let start = isMoved ? "\u{1B}[H\u{1B}[J" : last.lines > 0 ? "\u{1B}[\(last.lines)A" : ""
        terminal.write(start + lines.map { $0 + "\u{1B}[K\n" }.joined() + "\u{1B}[J")
        return Frame(lines: lines.count, columns: size.columns)
    }
}
