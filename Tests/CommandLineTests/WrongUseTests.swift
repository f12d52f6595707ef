import Foundation
import TestSupport
import Testing

@Suite struct WrongUseTests {
    /// Arguments, exit status, and what the one line must contain.
    @Test(arguments: [
        (["fly"], 2, "Unexpected argument 'fly'"),
        (["train"], 2, "--stage: choose from plain, align, selfguided"),
        (["train", "--stage", "aling", "--out", "run"], 2, "did you mean align?"),
        (["train", "--stage", "plain"], 2, "--out: give the folder of the run"),
        (["train", "--stage", "plain", "--stepps", "3", "--out", "run"], 2, "Unknown option '--stepps'"),
        (["train", "--stage", "plain", "--steps", "few", "--out", "run"], 2, "'few' is invalid"),
        (
            ["train", "--stage", "plain", "--window", "0.4", "0.7", "--out", "run"], 2,
            "--window: there is no setting method.alignment.window in plain, but in align and selfguided"
        ),
        (["train", "--stage", "selfguided", "--preset", "demo", "--out", "run"], 2, "give its --teacher CHECKPOINT"),
        (["pipeline", "--preset", "dem", "--out", "run"], 2, "did you mean demo?"),
        (["pipeline", "--preset", "demo", "--reading", "mine", "--out", "run"], 2, "choose paper or published"),
        (["pipeline", "--preset", "demo", "--teacher-depth", "7", "--out", "run"], 2, "selfguided: teacher depth 7"),
        (
            ["pipeline", "--preset", "demo", "--align.window", "0.7", "0.4", "--out", "run"], 2,
            "--align.window: give two numbers"
        ),
        (["pipeline", "--preset", "demo", "--align.stepps", "5", "--out", "run"], 2, "Unknown option '--stepps'"),
        (["pipeline", "--preset", "demo", "--batch", "30", "--accumulation", "4", "--out", "run"], 2, "not divisible"),
        (["pipeline", "--preset", "demo", "--data", "nothing", "--out", "run"], 1, "nothing"),
        (["pipeline", "--config", "nothing.yaml", "--out", "run"], 1, "nothing.yaml: cannot be opened"),
        (["pipeline", "--config", ".", "--out", "run"], 1, "is not a regular file"),
        (
            ["pipeline", "--preset", "demo", "--align.steps", "0", "--out", "run"], 2,
            "--align.steps: give a whole number"
        ),
        (["inspect", "--config", "--stage", "aling"], 2, "did you mean align?"),
        (["inspect", "--config", "nothing.yaml"], 1, "nothing.yaml: cannot be opened"),
        (["inspect"], 2, "Missing expected argument '<path>'"),
        (["inspect", "run", "--preset", "demo"], 2, "--preset explains settings: give --config too"),
        (["pipeline", "--preset", "demo", "--device", "cuda:7", "--out", "run"], 2, "the device cuda:7 is not there"),
        (["sample", "--checkpoint", "nothing", "--out", "a.png"], 1, "holds no checkpoint"),
        (
            ["sample", "--checkpoint", "nothing", "--out", "a.png", "--cfg", "0.5"], 2,
            "guidance must be 1 (off) or more, not 0.5"
        ),
        (["sample", "--checkpoint", "nothing", "--out", "a.png", "--mode", "rk4"], 2, "choose ode, heun or sde"),
        (["verify", "nothing"], 2, "cannot be read as a folder"),
        (["verify", "."], 2, "holds no golden file"),
        (["verify", ".", "--precision", "fp8"], 2, "choose f32 or bf16"),
        (["verify", ".", "--kernels", "fast"], 2, "--kernels fast: give fused or plain"),
        (["inspect", "nothing"], 1, "does not exist"),
        (["watch", "nothing"], 1, "nothing: is not a run; give the folder of a run or of a pipeline"),
        (["bench", "--model", "SiT-Q/2"], 2, "there is no such network"),
        (["bench", "--steps", "9223372036854775807"], 2, "--steps and --warmup"),
        (["pipeline", "--preset", "cifar10", "--out", "run"], 2, "--data: give a folder or zip"),
        (
            ["pipeline", "--preset", "demo", "--selfguided.set", "network.hidden=64", "--out", "run"], 2,
            "hidden size 128"
        ),
        (["pipeline", "--preset", "demo", "--teacher", "x", "--out", "run"], 2, "a pipeline trains its own"),
        (["pipeline", "--preset", "demo", "--set", "method.name=plain", "--out", "run"], 2, "method.name"),
        (
            ["train", "--stage", "align", "--preset", "demo", "--batch", "9223372036854775807", "--dry-run"], 2,
            "--batch: give a whole number, 1 to 1048576"
        ),
        (["train", "--stage", "align", "--preset", "demo", "--steps", "9223372036854775807", "--dry-run"], 2, "steps"),
        (["train", "--stage", "align", "--preset", "demo", "--set", "network.mlpRatio=0.001", "--dry-run"], 2, "MLP"),
        (["train", "--stage", "align", "--preset", "demo", "--seed=-1", "--out", "run"], 2, "'-1' is invalid"),
        (["train", "--stage", "align", "--preset", "demo", "--window", "nan", "1", "--out", "run"], 2, "--window"),
        (["train", "--stage", "align", "--preset", "demo", "--target", "noise", "--out", "run"], 2, "--target"),
        (["train", "--stage", "align", "--preset", "demo", "--set", "=5", "--out", "run"], 2, "=5"),
        (
            ["train", "--stage", "plain", "--preset", "demo", "--init", "nothing", "--out", "run"], 1,
            "holds no checkpoint"
        ),
        (["sample", "--checkpoint", "x", "--out", ""], 1, "holds no checkpoint"),
        (["bench", "--heads", "7"], 2, "7 heads do not divide"),
        (["import", "nothing", "--out", "x"], 1, "nothing: cannot be opened"),
        (["export", "--checkpoint", "nothing", "--out", "x.pt"], 1, "holds no checkpoint"),
        (["export", "--checkpoint", "nothing", "--out", "x.pt", "--weights", "best"], 2, "choose ema or raw"),
    ])
    func oneLineAndAStatus(arguments: [String], status: Int32, message: String) throws {
        try withTemporaryFolder { folder in
            let ended = try transcend(arguments, in: folder)
            #expect(ended.status == status, "\(ended.errors)")
            #expect(ended.errorLines.count == 1, "\(ended.errors)")
            #expect(ended.errors.hasPrefix("transcend: error: "))
            #expect(ended.errors.contains(message), "\(ended.errors)")
            #expect(ended.output.isEmpty)
            // Nothing is left behind but, where the run had begun, its empty folder.
            let files = FileManager.default.enumerator(atPath: folder)?.allObjects as? [String] ?? []
            #expect(!files.contains { $0.hasSuffix(".safetensors") || $0.hasSuffix(".png") })
        }
    }

    @Test(
        arguments: [
            "prepare", "train", "pipeline", "sample", "watch", "verify", "inspect", "import", "export", "doctor",
            "bench",
        ])
    func helpFitsAScreen(command: String) throws {
        try withTemporaryFolder { folder in
            let ended = try transcend([command, "--help"], in: folder)
            #expect(ended.status == 0 && ended.errors.isEmpty)
            let lines = ended.output.split(separator: "\n")
            #expect(lines.count <= 50 && lines.allSatisfy { $0.count <= 100 })
            #expect(ended.output.contains("USAGE: transcend \(command)"))
        }
    }
}
