import Data
import Diffusion
import Models
import Torch

/// Sample grids from the averaged weights, on the same draws every time, so that progress can be seen.
struct Preview {
    private let configuration: TrainingConfiguration
    private let classNames: [String]
    private let device: Device

    init(_ configuration: TrainingConfiguration, classNames: [String], on device: Device) {
        self.configuration = configuration
        self.classNames = classNames
        self.device = device
    }

    /// Writes the grid of the present averages, one row a class. Ends without it when the program is asked to end.
    func write(_ state: TrainingState, to path: String) throws {
        let settings = configuration.preview
        let rows = min(settings.classes, configuration.network.classes)
        guard rows > 0, settings.perClass > 0, configuration.network.channels == 3 else { return }
        let network = SiT(configuration.network, on: device)
        for (entry, average) in zip(network.parameters(), state.average.averages) { entry.parameter.assign(average) }
        let generator = SampleGenerator(
            network: network, path: configuration.diffusion.path, sampler: settings.sampler, seed: configuration.seed)
        let labels = (0..<rows * settings.perClass).map { $0 / settings.perClass }
        var images: [Canvas] = []
        do {
            try generator.pictures(
                labels: labels, progress: { _ in try Self.checkInterruption() }, receive: { images += $0 })
        } catch is Interrupted {
            return
        }
        let grid = ImageGrid(
            images, columns: settings.perClass, rowLabels: Array(classNames.prefix(rows)))
        try ImageFile.writePNG(RGBImage(grid.render()), to: path)
    }

    private struct Interrupted: Error {}

    private static func checkInterruption() throws {
        if Interruption.isRequested { throw Interrupted() }
    }
}
