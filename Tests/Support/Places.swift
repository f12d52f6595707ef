import Foundation

/// The folder of the repository.
public let repository = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
    .deletingLastPathComponent()

/// A small AutoencoderKL of the golden files: 4 channels, half the side.
public let smallAutoencoder = repository.path + "/Tests/Golden/autoencoder-kl"

/// The path of a file in the folder `Fixtures` beside the test that asks; each has a `make.py` that made its files.
public func fixture(_ name: String, besides test: String = #filePath) -> String {
    URL(fileURLWithPath: test).deletingLastPathComponent().appendingPathComponent("Fixtures/\(name)").path
}
