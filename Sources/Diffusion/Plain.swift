import Models
import Torch

/// Plain flow matching, without alignment.
public struct Plain: Method {
    public static let name = "plain"
    /// Empty: it only has the settings common to all methods.
    public static let settings: [SettingDescription] = []

    public init(defaultsFor network: SiTConfiguration, reading: Reading) {}

    public func problem(for network: SiTConfiguration) -> String? { nil }
    public func addedFLOPs(for network: SiTConfiguration) -> Double { 0 }

    public func objective(for network: SiTConfiguration, teacher: SiT?, on device: Device) -> any Objective {
        PlainObjective()
    }
}

private struct PlainObjective: Objective {
    var featureDepths: Set<Int> { [] }
    var alignmentSettings: AlignmentSettings? { nil }

    func walk(_ visit: inout Walk) {}

    func alignment(_ features: [Int: Tensor], _ batch: NoisedBatch) -> Alignment {
        preconditionFailure("plain flow matching aligns nothing")
    }
}
