import Foundation
import TestSupport
import Testing

/// Files and folders that are not what they should be, cannot be had, or belong to something else.
@Suite struct WrongFilesTests {
    /// The newest checkpoint of the first stage.
    private static let checkpoint = "run/align/checkpoints/step-0000002/"

    @Test(arguments: [
        // Data
        WrongUse(1, "pipe: is not a regular file", "prepare --data pipe --out s") { mkfifo($0 + "/pipe", 0o644) },
        WrongUse(1, "loop: cannot be opened: too many levels of symbolic links", "inspect --check-images loop") {
            symlink("loop", $0 + "/loop")
        },
        WrongUse(1, "images/0/up/: is a link to a folder above it", "prepare --data images --out s", with: "images") {
            symlink("..", $0 + "/images/0/up")
        },
        WrongUse(
            1, #"images/0/9\x1b[7m.png: is empty; remove it, or"#, "prepare --data images --out s", with: "images"
        ) {
            try write("", $0, "images/0/9\u{1B}[7m.png")
        },
        WrongUse(1, "images/0/9.png: is empty; remove it, or", "prepare --data images --out s", with: "images") {
            try write("", $0, "images/0/9.png")
        },
        WrongUse(1, "holds a name that is not text in UTF-8", "prepare --data images --out s", with: "images") {
            folder in
            let path = Array("\(folder)/images/0/".utf8CString.dropLast()) + [CChar(bitPattern: 0xFF), 0]
            close(open(path, O_CREAT | O_WRONLY, 0o644))
        },
        WrongUse(1, "is not a ZIP archive, or its end is missing", "inspect cut.zip") { folder in
            try copyStart(of: "Tests/DataTests/Fixtures/odd-images.zip", bytes: 5000, to: folder + "/cut.zip")
        },
        WrongUse(1, "cut.tar: ends without the mark of its end", "inspect cut.tar") { folder in
            try copyStart(of: "Tests/FormatsTests/Fixtures/gnu.tar", bytes: 516, to: folder + "/cut.tar")
        },
        WrongUse(
            1, "images/0/1000.png: has 24x24 pixels where 18x18",
            "train --stage align --data images --resolution 18 --out x ALIGN", with: "images"),
        WrongUse(
            2, "give --resolution 24", "train --stage align --data store --resolution 18 --out x ALIGN", with: "store"),
        WrongUse(
            2, "is not text in UTF-8", "inspect", through: ["sh", "-c", #"exec "$0" inspect "$(printf '\377')""#]),

        // Stores
        WrongUse(
            1, "is a store with a resolution of 24, not 16", "prepare --data images --resolution 16 --out store",
            with: "images", "store"),
        WrongUse(
            1, "was begun with other images (6, now 5)", "prepare --data images --resolution 24 --out store",
            with: "images", "store"
        ) {
            unlink($0 + "/images/0/1000.png")
        },
        WrongUse(
            1, "is being prepared by another process", "prepare --data images --resolution 24 --out store",
            with: "images", "store", through: ["flock", "store"]),
        WrongUse(1, "has version 2 of the store's format, where 1 is known", "inspect store", with: "store") {
            try edit($0, "store/manifest.json", #""version" : 1"#, #""version" : 2"#)
        },
        WrongUse(1, "manifest.json: is not valid JSON", "bench loader --data store", with: "store") {
            try write("", $0, "store/manifest.json")
        },
        WrongUse(1, "bytes where the manifest says", "train --stage align --data store --out x ALIGN", with: "store") {
            truncate($0 + "/store/shard-00000.safetensors", 5000)
        },
        WrongUse(2, "--batch 0: give 1 to", "bench loader --data store --batch 0", with: "store"),
        WrongUse(
            2, "--batch 1048576: the batches that are loaded ahead", "bench loader --data store --batch 1048576",
            with: "store"
        ),

        // Places for results
        WrongUse(1, "file: is no folder", "prepare --data images --out file", with: "images") {
            try write("", $0, "file")
        },
        WrongUse(1, "file/x: lies below a file", "train --stage align --out file/x ALIGN") {
            try write("", $0, "file")
        },
        WrongUse(2, "images: it lies in --data, and would be", "prepare --data images --out images", with: "images"),
        WrongUse(
            1, "run: is neither empty nor a store", "prepare --data images --out run", with: "images", "run"),
        WrongUse(1, "images: is neither empty nor a run", "train --stage align --out images ALIGN", with: "images"),
        WrongUse(1, "is neither empty nor the run of a pipeline", "pipeline --out images TINY", with: "images"),
        WrongUse(1, "run: is not empty (align)", "sample --checkpoint run --out run", with: "run"),
        WrongUse(1, "old: is not empty (000099.png)", "sample --checkpoint run --count 2 --out old", with: "run") {
            mkdir($0 + "/old", 0o755)
            try write("", $0, "old/000099.png")
        },
        WrongUse(
            1, "align: is neither empty nor an earlier export", "export --checkpoint run --out run/align", with: "run"),
        WrongUse(1, "run: is there already", "import run/checkpoint.pt --heads 2 --out run", with: "run") {
            try copyStart(of: "Tests/Golden/checkpoint.pt", bytes: .max, to: $0 + "/run/checkpoint.pt")
        },
        WrongUse(1, "file: is no folder", "import GOLDEN/checkpoint.pt --heads 2 --out file/x") {
            try write("", $0, "file")
        },
        WrongUse(2, "samples are not written as .jpg", "sample --checkpoint run --out x.jpg", with: "run"),
        WrongUse(2, "weights are not written as .onnx", "export --checkpoint run --out x.onnx", with: "run"),
        WrongUse(1, "run: is a folder without diffusion_pytorch_model", "import run --out x", with: "run"),
        WrongUse(
            1, "x.pt: cannot be written: file too large", "export --checkpoint run --out x.pt", with: "run",
            through: ["sh", "-c", #"ulimit -f 8; exec "$0" "$@""#]),
        WrongUse(
            1, "standard output: cannot be written: no space left", "inspect run", with: "run",
            through: ["sh", "-c", #"exec "$0" "$@" >/dev/full"#]),
        WrongUse(
            1, "standard output: cannot be written: bad file descriptor", "inspect --config",
            through: ["sh", "-c", #"exec "$0" "$@" >&-"#]),

        // Permissions, which do not bind root as it is
        WrongUse(
            1, "locked/x: cannot be made as a folder: permission denied", "train --stage align --out locked/x ALIGN",
            through: bound
        ) {
            mkdir($0 + "/locked", 0o555)
        },
        WrongUse(
            1, "images/0/1000.png: cannot be opened: permission denied",
            "train --stage align --data images --out x ALIGN",
            with: "images", through: bound
        ) {
            chmod($0 + "/images/0/1000.png", 0)
        },
        WrongUse(
            1, "checkpoints: cannot be read: permission denied", "pipeline --steps 2 --out run TINY", with: "run",
            through: bound
        ) {
            chmod($0 + "/run/align/checkpoints", 0o300)
        },

        // Runs
        WrongUse(
            2, "run/selfguided is at step 2 already", "pipeline --selfguided.steps 1 --steps 2 --out run TINY",
            with: "run"),
        WrongUse(
            2, "run/align: is a stage of the pipeline in",
            "train --config run/align/config.json --steps 3 --out run/align", with: "run"),
        WrongUse(
            2, "link: is a stage of the pipeline in", "train --stage align --steps 3 --out link ALIGN", with: "run"
        ) {
            symlink("run/align", $0 + "/link")
        },
        WrongUse(
            2, "it was trained by selfguided, which has another head than align; take its weights alone with --init",
            "train --stage align --resume run/selfguided --out x ALIGN", with: "run"),
        WrongUse(
            1, "run/align: is in use by process", "pipeline --steps 2 --out run TINY", with: "run",
            through: ["flock", "run/align/lock"]),
        WrongUse(1, "config.json: is not valid JSON", "pipeline --steps 2 --out run TINY", with: "run") {
            try write("", $0, "run/align/config.json")
        },
        WrongUse(1, "it holds the setting future", "pipeline --steps 2 --out run TINY", with: "run") {
            try edit($0, "run/align/config.json", #""batch": 8"#, #""batch": 8, "future": 1"#)
        },
        // Checkpoints
        WrongUse(
            1, "model.safetensors: is damaged", "pipeline --selfguided.steps 3 --steps 2 --out run TINY", with: "run"
        ) {
            try flipBit($0, checkpoint + "model.safetensors")
        },
        WrongUse(1, "ema.safetensors: is damaged", "sample --checkpoint run/align --out x.png", with: "run") {
            truncate("\($0)/\(checkpoint)ema.safetensors", 100)
        },
        WrongUse(
            1, "optimizer.safetensors: is missing; copy the checkpoint again",
            "train --stage align --resume run/align --out x ALIGN", with: "run"
        ) {
            unlink("\($0)/\(checkpoint)optimizer.safetensors")
        },
        WrongUse(
            1, "has format version 3, this program reads 2", "train --stage align --init run/align --out x ALIGN",
            with: "run"
        ) {
            try edit($0, checkpoint + "state.json", #""formatVersion": 2"#, #""formatVersion": 3"#)
        },
        WrongUse(
            2, "--labels 10: the checkpoint has classes 0 to 9", "sample --checkpoint run --labels 10 --out x.png",
            with: "run"),
        WrongUse(
            2, "--labels: random stands alone", "sample --checkpoint run --labels random disc --out x.png", with: "run"),
        // --config
        WrongUse(1, "nothing.yaml: cannot be opened", "pipeline --config nothing.yaml --out x"),
        WrongUse(2, "s.yaml:2:1: steps: give a whole number", "pipeline --config s.yaml --out x") {
            try write("batch: 8\nsteps: few\n", $0, "s.yaml")
        },
        WrongUse(2, "s.yaml:1:1: stpes: there is no such setting; did you mean steps?", "inspect --config s.yaml") {
            try write("stpes: 8\n", $0, "s.yaml")
        },
        WrongUse(1, "s.yaml: is not text in UTF-8", "pipeline --config s.yaml --out x") {
            try write([0xFF, 0xFE], $0, "s.yaml")
        },
    ])
    func files(use: WrongUse) throws { try use.check() }

    /// The first file that is opened would get the number of a closed descriptor, and what is said would be written into it.
    @Test func whatIsSaidToNobodyGoesIntoNoFile() throws {
        try withTemporaryFolder { folder in
            let run = try SharedPlaces.folder.get() + "/run"
            let arguments = ["sample", "--checkpoint", run, "--steps", "1", "--count", "2", "--out"]
            for (name, redirection) in [("heard.npz", ""), ("unheard.npz", "2>&-")] {
                let ended = try transcend(arguments + [name], in: folder) { process in
                    let program = try #require(process.executableURL?.path)
                    process.executableURL = URL(fileURLWithPath: "/bin/sh")
                    process.arguments = ["-c", #"exec "$0" "$@" "# + redirection, program] + arguments + [name]
                }
                #expect(ended.status == 0)
            }
            let samples = FileManager.default.contents(atPath: folder + "/heard.npz")
            #expect(samples != nil && samples == FileManager.default.contents(atPath: folder + "/unheard.npz"))
        }
    }
}

/// What starts a program so that the modes of files count, for root too.
private let bound =
    geteuid() == 0
    ? ["setpriv", "--bounding-set=-dac_override,-dac_read_search", "--inh-caps=-dac_override,-dac_read_search"] : []

private func write(_ text: String, _ folder: String, _ name: String) throws {
    try write(Array(text.utf8), folder, name)
}

private func write(_ bytes: [UInt8], _ folder: String, _ name: String) throws {
    try Data(bytes).write(to: URL(fileURLWithPath: folder + "/" + name))
}

/// Replaces a text that a file must hold.
private func edit(_ folder: String, _ name: String, _ old: String, _ new: String) throws {
    let text = try String(contentsOfFile: folder + "/" + name, encoding: .utf8)
    try #require(text.contains(old))
    try write(text.replacing(old, with: new), folder, name)
}

private func flipBit(_ folder: String, _ name: String) throws {
    var bytes = try Data(contentsOf: URL(fileURLWithPath: folder + "/" + name))
    bytes[bytes.count / 2] ^= 1
    try bytes.write(to: URL(fileURLWithPath: folder + "/" + name))
}

/// The first bytes of a file of the repository as another.
private func copyStart(of name: String, bytes: Int, to path: String) throws {
    try Data(contentsOf: repository.appendingPathComponent(name)).prefix(bytes).write(to: URL(fileURLWithPath: path))
}
