import Data
import Diffusion
import Models
import Torch

/// Sample grids from the EMA weights, with the same draws every time, so that progress is visible.
struct Preview {
    private let configuration: TrainingConfiguration
    private let classNames: [String]
    private let device: Device
    /// The decoder; nil if nothing is drawn.
    private let decoder: PictureDecoder?
    /// The reason why nothing is drawn although it should be, or why it may look wrong.
    let note: String?

    /// Opens the autoencoder if the data are latents; throws if it does not fit them.
    init(_ configuration: TrainingConfiguration, of dataset: any Dataset, on device: Device) throws {
        self.configuration = configuration
        classNames = dataset.classNames
        self.device = device
        let (settings, path) = (configuration.preview, configuration.preview.autoencoder)
        let isWanted = configuration.output.sampleEvery > 0 && settings.classes > 0 && settings.perClass > 0
        // An autoencoder for pixels is always refused, since the run would store it.
        let isOpened = path != nil && (isWanted || dataset.latents == nil)
        if !isOpened && (!isWanted || dataset.latents != nil) {
            decoder = nil
            note =
                isWanted
                ? "no samples are drawn: the data are latents; give their autoencoder: --autoencoder PATH" : nil
            return
        }
        let decoder = try PictureDecoder(
            channels: configuration.network.channels, latents: dataset.latents, autoencoder: path, on: device)
        (self.decoder, note) = (decoder, decoder.warning)
    }

    /// Writes the grid of a network with these averages, one row per class; `progress` is called at each step of the
    /// solver. Ends without the grid if the program is asked to stop.
    func write(_ averages: [Tensor], to path: String, progress: () -> Void = {}) throws {
        let settings = configuration.preview
        let rows = min(settings.classes, configuration.network.classes)
        guard let decoder else { return }
        let network = SiT(configuration.network, on: device)
        for (entry, average) in zip(network.parameters(), averages) { entry.parameter.assign(average) }
        let generator = SampleGenerator(
            network: network, path: configuration.diffusion.path, sampler: settings.sampler, seed: configuration.seed)
        let labels = (0..<rows * settings.perClass).map { $0 / settings.perClass }
        var images: [RGBImage] = []
        do {
            try generator.pictures(
                labels: labels, decoder: decoder,
                progress: { _ in
                    progress()
                    try Self.checkInterruption()
                },
                receive: { images += $0 })
        } catch is Interrupted {
            return
        }
        let grid = ImageGrid(
            images, columns: settings.perClass, rowLabels: Array(classNames.prefix(rows)))
        try ImageFile.writePNG(grid.render(), to: path)
    }

    private struct Interrupted: Error {}

    private static func checkInterruption() throws {
        if Interruption.isRequested { throw Interrupted() }
    }
}
