import Models
import TestSupport
import Testing
import Torch

/// An autoencoder with latents half as large as images, one channel, that shows how it is cut into tiles.
private struct Toy: Autoencoder {
    /// Whether each tile becomes its mean everywhere, or just coarser and finer.
    var isMean = false

    let name = "toy"
    let latentChannels = 1
    let sideRatio = 2
    let tileSide: Int? = 8
    let hasDistribution = true
    var normalisation = LatentNormalisation()

    func walk(_ visit: inout Walk) {}
    func moments(of images: Tensor) -> Tensor {
        let (height, width) = (images.size(2) / 2, images.size(3) / 2)
        let cells = images.reshaped([images.size(0), 1, height, 2, width, 2]).mean([3, 5])
        return .concatenate([cells, cells * 100], axis: 1)
    }
    func images(of latents: Tensor) -> Tensor {
        let x = isMean ? latents * 0 + latents.mean([2, 3], keepAxes: true) : latents
        return x.repeated(2)
    }
}

/// n^2 mod 23 for n = 0, 1, ...: [1, 1, height, width].
private func pattern(_ height: Int, _ width: Int) -> Tensor {
    Tensor((0..<height * width).map { Float($0 * $0 % 23) }, shape: [1, 1, height, width])
}

extension MethodTests {
    @Suite struct AutoencoderTests {
        /// Tiles of 4 begin every 3 cells, so those of 10 cells have 4, 4, 4 and 1; each gives its last quarter (2 of 8
        /// pixels) to a linear change to the next: previous, then half of both.
        @Test func tilesAreBlendedOverAQuarter() {
            let cells: [Float] = [0, 0, 4, 4, 0, 0, 0, 8, 8, 0]
            let means = [2.0, 1, 4]
            let latents = Tensor(cells, shape: [1, 1, 1, 10])
            let row = Toy(isMean: true).decode(latents, tileSide: 8)
            let expected =
                [2, 2, 2, 2, 2, 2] + [means[0], 1.5, 1, 1, 1, 1] + [means[1], 2.5, 4, 4, 4, 4] + [means[2], 2]
            #expect(row.shape == [1, 1, 2, 20])
            expectClose(Array(row.doubles.prefix(20)), expected, 1e-6)
        }

        /// Row and diagonal of what diffusers' AutoencoderKL.tiled_decode returns with this decoder, calculated in float64 by
        /// its code with tile_latent_min_size 4 and tile_sample_min_size 8.
        @Test func cornersAreBlendedDownFirstThenAcross() {
            let image = Toy(isMean: true).decode(pattern(7, 7), tileSide: 8)
            #expect(image.shape == [1, 1, 14, 14])
            let pixels = image.doubles
            let row: [Double] =
                [Double](repeating: 6.6875, count: 7) + [7.171875, 8.625, 8.625, 8.625, 8.625, 8.625, 9.34375]
            let diagonal: [Double] =
                [Double](repeating: 6.6875, count: 7) + [7.2109375, 7.25, 7.25, 7.25, 7.25, 7.25, 4.96875]
            expectClose(Array(pixels.dropFirst(6 * 14).prefix(14)), row, 1e-6)
            expectClose(stride(from: 0, to: pixels.count, by: 15).map { pixels[$0] }, diagonal, 1e-6)
        }

        /// A network that looks at one cell at a time gives the same in tiles.
        @Test(arguments: [(4, 4), (5, 4), (11, 17)])
        func tilesOfALocalNetworkMakeTheWhole(height: Int, width: Int) {
            let latents = pattern(height, width)
            expectClose(Toy().decode(latents, tileSide: 8).doubles, Toy().decode(latents).doubles, 1e-5)
            let images = pattern(2 * height, 2 * width)
            let (tiled, whole) = (Toy().encode(images, tileSide: 8), Toy().encode(images))
            expectClose(tiled.mean.doubles, whole.mean.doubles, 1e-5)
            expectClose(tiled.deviation?.doubles ?? [], whole.deviation?.doubles ?? [], 1e-5 * 22026)
        }

        /// The cells' means are 0, -1, 0.1; the log-variances a hundred times that, from -30 to 20.
        @Test func aPosteriorHasItsLogVariancesWithinBounds() {
            let values: [Float] = [0, 0, -1, -1, 0.1, 0.1]
            let posterior = Toy().encode(Tensor(values + values, shape: [1, 1, 2, 6]))
            expectClose(posterior.mean.doubles, [0, -1, 0.1], 1e-6)
            expectClose(posterior.logVariance?.doubles ?? [], [0, -30, 10], 1e-5)
            let sample = posterior.sample(noise: .full([1, 1, 1, 3], 2))
            // mean + 2 exp(log-variance / 2)
            expectClose(sample.doubles, [2, -1 + 2 * 3.0590232e-7, 0.1 + 2 * 148.4131591], 1e-3)
        }

        @Test func latentsAreNormalisedByChannelAndBack() {
            let latents = Tensor([1.0, 2, 3, 4], shape: [1, 2, 1, 2])
            let both = LatentNormalisation(shift: [1, -1], scale: [2, 0.5])
            #expect(both.normalised(latents).doubles == [0, 2, 2, 2.5])
            #expect(both.denormalised(both.normalised(latents)).doubles == [1, 2, 3, 4])
            // SD3's numbers: (z - 0.0609) * 1.5305.
            let one = LatentNormalisation(shift: [0.0609], scale: [1.5305])
            expectClose(one.normalised(latents).doubles, [1.43729255, 2.96779255, 4.49829255, 6.02879255], 1e-12)
            expectClose(one.denormalised(one.normalised(latents)).doubles, [1, 2, 3, 4], 1e-12)
        }

        /// Each published member has its channels, and images an eighth of a side: [1, 3, 16, 24] -> [1, C, 2, 3].
        @Test(arguments: TinyAutoencoder.Kind.allCases)
        func tinyAutoencodersKeepTheirShapes(kind: TinyAutoencoder.Kind) {
            let autoencoder = TinyAutoencoder(kind)
            autoencoder.initialise(stage: "tiny", seed: 0)
            let posterior = autoencoder.encode(.normal([1, 3, 16, 24], item: 0))
            #expect(posterior.mean.shape == [1, kind.channels, 2, 3] && posterior.logVariance == nil)
            #expect(autoencoder.decode(posterior.mean).shape == [1, 3, 16, 24])
        }
    }
}
