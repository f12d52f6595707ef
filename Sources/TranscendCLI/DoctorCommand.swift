import ArgumentParser
import Foundation
import Torch
import Transcend

struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Print versions, devices, threads, CPU features and loaded libraries, and what is wrong.")

    func run() {
        var table = Table(.text(""), .text(""))
        for (name, value) in Diagnosis.facts { table.append(name, value) }
        print(table)
        for problem in Diagnosis.problems { print("problem: \(problem)") }
    }
}
