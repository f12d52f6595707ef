import Data
import Foundation
import TestSupport
import Testing

/// Flags and words that are wrong by themselves or together.
@Suite struct WrongUseTests {
    @Test(arguments: [
        WrongUse(2, "fly: there is no such command; see --help", "fly"),
        WrongUse(2, "sampel: there is no such command; did you mean sample?", "sampel --count 2"),
        WrongUse(2, "compar: there is no such command; did you mean compare?", "help compar"),
        WrongUse(2, "trian: there is no such command; did you mean train?", "bench trian"),
        WrongUse(2, "scripts for 'tcsh'", "--generate-completion-script tcsh"),
        // train, pipeline
        WrongUse(2, "--stage: choose from plain, align, selfguided", "train"),
        WrongUse(2, "did you mean align?", "train --stage aling --out run"),
        WrongUse(2, "--out: give the folder of the run", "train --stage plain"),
        WrongUse(2, "a path is empty", "train --stage plain --out ''"),
        WrongUse(2, "'few' is invalid", "train --stage plain --steps few --out run"),
        WrongUse(
            2, "--steps: give a whole number, 1 to 4294967295, not -5", "train --stage plain --steps -5 --out run"),
        WrongUse(
            2,
            "--window: there is no setting method.alignment.window in plain, but in align, selfguided, repa, sra, layersync",
            "train --stage plain --window 0.4 0.7 --out run"),
        WrongUse(2, "give its --teacher CHECKPOINT", "train --stage selfguided --preset demo --out run"),
        WrongUse(2, "--teacher: align follows no other network", "train --stage align --teacher x --out run ALIGN"),
        WrongUse(
            2, "--batch: give a whole number, 1 to 1048576",
            "train --stage align --preset demo --batch 9223372036854775807 --dry-run"),
        WrongUse(
            2, "--learning-rate: give a number, above 0, not inf", "train --stage plain --learning-rate 1e400 --out run"
        ),
        WrongUse(2, "parameters takes", "train --stage align --out run ALIGN --set network.hidden=1048576"),
        WrongUse(
            2, "nothing: the network draws pixels; omit it",
            "train --stage align --autoencoder nothing --out a/b ALIGN"),
        WrongUse(2, "--set batch: give key=value", "train --stage plain --set batch --out run"),
        WrongUse(2, "did you mean network.depth?", "train --stage plain --set network.dept=5 --out run"),
        WrongUse(2, "the device cuda:-1 is unknown", "train --stage plain --device cuda:-1 --out run"),
        WrongUse(
            2, "--init and --resume: a run starts from one",
            "train --stage align --init run --resume run --out x ALIGN", with: "run"),
        WrongUse(2, "--config: the path is empty", "pipeline --config '' --out run"),
        WrongUse(2, "--batch 1048576: the batches that", "pipeline --out a/b/run TINY --batch 1048576"),
        WrongUse(2, "did you mean demo?", "pipeline --preset dem --out run"),
        WrongUse(2, "selfguided: teacher depth 7", "pipeline --preset demo --teacher-depth 7 --out run"),
        WrongUse(2, "--align.window: give two numbers", "pipeline --preset demo --align.window 0.7 0.4 --out run"),
        WrongUse(2, "not divisible", "pipeline --preset demo --batch 30 --accumulation 4 --out run"),
        WrongUse(2, "--data: give a folder or zip", "pipeline --preset cifar10 --out run"),
        WrongUse(2, "hidden size 128", "pipeline --preset demo --selfguided.set network.hidden=64 --out run"),
        WrongUse(2, "a pipeline trains its own", "pipeline --preset demo --teacher x --out run"),
        WrongUse(2, "method.name", "pipeline --preset demo --set method.name=plain --out run"),

        WrongUse(2, "pictures holds no features of encoders", "train --stage repa --preset demo --out a/run"),
        WrongUse(
            1, "dinov2_vits14_pretrain.pth: is not there; fetch https://",
            "train --stage repa --preset demo --encoders dinov2_vits14_pretrain.pth --out run"),
        WrongUse(
            2, "--encoders: there is no setting method.targets.encoders in plain, but in repa",
            "train --stage plain --encoders a.pt --out run"),

        // sample
        WrongUse(1, "holds no checkpoint", "sample --checkpoint nothing --out a.png"),
        WrongUse(2, "guidance must be 1 (off) or more, not 0.5", "sample --checkpoint nothing --out a.png --cfg 0.5"),
        WrongUse(
            2, "0 <= low <= high <= 1", "sample --checkpoint x --out a.png --guidance-low 0.9 --guidance-high 0.1"),

        // the others
        WrongUse(2, "--preset explains settings: give --config too", "inspect run --preset demo"),
        WrongUse(2, "--check-images reads a data set, --config explains", "inspect --config --check-images"),
        WrongUse(1, "nothing: is not a run; give the folder of a run or of a pipeline", "watch nothing"),
        WrongUse(2, "holds no golden file", "verify ."),
        WrongUse(
            2, "'fast' is invalid for '--kernels <name>'. Please provide one of 'fused' and 'plain'",
            "verify . --kernels fast"),
        WrongUse(2, "--steps and --warmup", "bench --steps 9223372036854775807"),
        WrongUse(2, "the scale of guidance", "bench sample --cfg 0.5"),
        WrongUse(
            2, "--warmup 20: give 1 to --steps less 1, here 9", "bench train --preset demo --steps 10 --warmup 20"),
        WrongUse(2, "--steps 1: give 2 or more", "bench train --preset demo --steps 1"),
        WrongUse(
            2, "--batch 1048576: the batches that are loaded", "bench --model SiT-XL/2 --latent 256 --batch 1048576"),
        WrongUse(2, "number of attention heads cannot be told", "import GOLDEN/checkpoint.pt --out x"),
        WrongUse(1, "has no weights of a SiT", "import GOLDEN/draws.safetensors --out x"),
        WrongUse(2, "--data: give the images to prepare", "prepare --out s"),
        WrongUse(2, "--verify: reads the store --out", "prepare --data x --verify --out s"),
        WrongUse(2, "--resolution 2: give 8 to 4096", "prepare --data x --resolution 2 --out s"),
        WrongUse(2, "'f8' is invalid for '--type <type>'", "prepare --data x --type f8 --out s"),
        WrongUse(1, "nothing: cannot be opened", "prepare --data nothing --out s"),
        WrongUse(1, "manifest.json: cannot be opened", "prepare --verify --out s"),
        WrongUse(1, "images: is no store; give a folder", "prepare --verify --out images", with: "images"),
        WrongUse(1, "images: is no store; give a folder", "bench loader --data images", with: "images"),
        WrongUse(2, "store: it is a store already; train on it", "prepare --data store --out s", with: "store"),
        WrongUse(2, "run: it is a run or checkpoint; give the images", "inspect --check-images run", with: "run"),
        WrongUse(2, "it is a store; check it with", "inspect --check-images store", with: "store"),
        WrongUse(2, "--mode latents: give their --autoencoder", "prepare --data x --mode latents --out s"),
        WrongUse(2, "--feature-grid 0: give 1 to 256", "prepare --data x --feature-grid 0 --out s"),
        WrongUse(
            2, "holds latents, which are imported as they are",
            "prepare --data GOLDEN/vae-sd --features x --out s"),
        WrongUse(
            2, "images/s: it lies in --data, and would be read as images of it", "prepare --data images --out images/s"),
        WrongUse(2, "--mirrored: pixels are stored as they are", "prepare --data . --mirrored --out ../s"),
        WrongUse(
            2, "holds latents, which are imported", "prepare --data GOLDEN/vae-sd --autoencoder x --out s"),
    ])
    func flags(use: WrongUse) throws { try use.check() }

    @Test(arguments: [
        WrongUse(2, "--out x.jpg: give the name of a .png file", "curve nothing --out x.jpg"),
        WrongUse(2, "--every 0: give 1 or more", "curve nothing --out x.png --every 0"),
        WrongUse(1, "nothing: holds no checkpoint", "curve nothing --out x.png"),
        WrongUse(1, "nothing: is not a run", "report nothing"),
        WrongUse(2, "--out x: give the name of a .pt file", "fit-extractor --data pictures --out x"),
        WrongUse(2, "--resolution 20: give a multiple of 8", "fit-extractor --data x --out x.pt --resolution 20"),
        WrongUse(2, "--steps 0: give 1 to 1000000", "fit-extractor --data x --out x.pt --steps 0"),
        WrongUse(2, "it holds latents; give images", "fit-extractor --data GOLDEN/vae-sd --out x.pt"),
        WrongUse(1, "nothing: holds no checkpoint", "features nothing"),
        WrongUse(2, "'x' is invalid for '--kinds <name>'", "features nothing --kinds x"),
        WrongUse(1, "nothing: holds no checkpoint", "probe nothing"),
        WrongUse(2, "--reference: give what they are measured", "evaluate --samples . --extractor EXTRACTOR"),
        WrongUse(
            2, "--count: it is for samples that are drawn, and images", "evaluate --samples images --count 9",
            with: "images"),
        WrongUse(
            2, "--steps: it is for samples", "evaluate --samples images --reference images --steps 5", with: "images"),
        WrongUse(
            2, "--labels: it is for samples", "evaluate --samples images --make-reference r.npz --labels random",
            with: "images"),
        WrongUse(
            2, "the data have 2 classes, the network 10; give data like those of its training",
            "features run --data images", with: "run", "images"),
        WrongUse(
            2, "--make-reference r.txt: give the name of a .npz",
            "evaluate --samples . --extractor EXTRACTOR --make-reference r.txt"),
        WrongUse(
            1, "metrics-0.safetensors: is no TorchScript file",
            "evaluate --samples . --reference . --extractor GOLDEN/metrics-0.safetensors"),
        WrongUse(
            1, "fetch https://github.com/mseitzer/pytorch-fid/releases",
            "evaluate --samples . --reference . --extractor pt_inception-2015-12-05-6726825d.pth"),
        WrongUse(1, "holds no images", "evaluate --samples . --reference . --extractor EXTRACTOR"),
        WrongUse(1, "holds no pictures", "evaluate --samples a.npz --reference . --extractor EXTRACTOR") { folder in
            try Data([80, 75, 5, 6] + [UInt8](repeating: 0, count: 18)).write(
                to: URL(fileURLWithPath: folder + "/a.npz"))
        },
        WrongUse(
            1, "holds pictures of 24 x 24 and of 28 x 28 pixels",
            "evaluate --samples odd --reference odd --extractor EXTRACTOR"
        ) { folder in
            try FileManager.default.createDirectory(atPath: folder + "/odd", withIntermediateDirectories: true)
            for side in [24, 28] {
                try ImageFile.writePNG(Pictures(side: side).image(0), to: "\(folder)/odd/\(side).png")
            }
        },
    ])
    func evaluations(use: WrongUse) throws { try use.check() }

    @Test(arguments: [["--set", "network.hidden=65536"], ["--batch", "1048576"]])
    func aDryRunEndsAsTheRunWould(flags: [String]) throws {
        try withTemporaryFolder { folder in
            let command = ["pipeline", "--out", "run"] + tiny + flags
            let (ended, dry) = (try transcend(command, in: folder), try transcend(command + ["--dry-run"], in: folder))
            #expect(ended.status == 2 && dry.status == 2)
            #expect(dry.errors == ended.errors && dry.output.contains("memory of weights and optimiser"))
        }
    }

    @Test(
        arguments: [
            "prepare", "train", "pipeline", "sample", "evaluate", "fit-extractor", "curve", "compare", "features",
            "probe",
            "report", "watch", "verify", "inspect",
            "import", "export",
            "doctor",
            "bench step", "bench sample", "bench loader", "bench train",
        ])
    func helpFitsAScreen(command: String) throws {
        try withTemporaryFolder { folder in
            let ended = try transcend(command.split(separator: " ").map(String.init) + ["--help"], in: folder)
            #expect(ended.status == 0 && ended.errors.isEmpty)
            let lines = ended.output.dropLast().split(separator: "\n", omittingEmptySubsequences: false)
            #expect(lines.count <= 50 && lines.allSatisfy { $0.count <= 100 })
            #expect(ended.output.contains("USAGE: transcend \(command)"))
        }
    }
}
