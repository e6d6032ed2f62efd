// SPDX-License-Identifier: Apache-2.0

import Benchmark
import Foundation

/// Measures the cost of a message in each hot path by counts that do not depend on the load of the machine: allocations
/// and instructions of the client's process. `scripts/benchmark-thresholds` runs these benchmarks and compares the
/// counts with `Thresholds/`.
let benchmarks: @Sendable () -> Void = {
    for work in [
        "publish-qos0", "publish-qos0-awaited", "publish-qos1", "publish-qos1-awaited", "receive-qos0", "receive-qos1",
    ] {
        // Runs differ in the number of tasks resumed together, and in how often the queue is full and a publish waits.
        let tolerance = work.hasSuffix("awaited") ? 1.5 : 0.3
        Benchmark(work, configuration: configuration(allocationTolerance: tolerance)) { benchmark in
            let sink = try ["--port", environment("HOT_PATHS_PORT"), "--cafile", environment("HOT_PATHS_AUTHORITY")]
            try benchmark.record(Program(name: "mosquitto-swift", arguments: [work] + sink + ["--messages"]))
        }
    }
    for work in ["validate", "match"] {
        Benchmark("topic-\(work)", configuration: configuration(allocationTolerance: 0.1)) { benchmark in
            try benchmark.record(Program(name: "topics", arguments: [work]))
        }
    }
}

/// Returns a configuration with the permitted deviation from the thresholds in both directions: the given number of
/// allocations a message, and 5 % of the instructions. Allocations need an absolute limit, since ordo-one/benchmark
/// never reports a relative deviation from a threshold of 0.
private func configuration(allocationTolerance: Double) -> Benchmark.Configuration {
    let allocations = BenchmarkThresholds(absolute: [.p90: Int(allocationTolerance * 1_000)])
    let instructions = BenchmarkThresholds(relative: [.p90: 5])
    let thresholds: [BenchmarkMetric: BenchmarkThresholds] = [
        .ourAllocations: allocations, .allAllocations: allocations,
        .ourInstructions: instructions, .allInstructions: instructions,
    ]
    return .init(
        metrics: Array(thresholds.keys), warmupIterations: 0, maxDuration: .seconds(600), maxIterations: 2,
        thresholds: thresholds)
}

private func environment(_ name: String) throws -> String {
    guard let value = ProcessInfo.processInfo.environment[name] else {
        throw Failure("\(name) is not set: scripts/benchmark-thresholds does that")
    }
    return value
}

extension BenchmarkMetric {
    static let ourAllocations = Self.custom("Allocations of ours, 1,000 messages", useScalingFactor: false)
    static let allAllocations = Self.custom("Allocations of all, 1,000 messages", useScalingFactor: false)
    static let ourInstructions = Self.custom("Instructions of ours, 1 message", useScalingFactor: false)
    static let allInstructions = Self.custom("Instructions of all, 1 message", useScalingFactor: false)
}

extension Benchmark {
    func record(_ program: Program) throws {
        let allocations = try program.allocations(messages: 50_000)
        measurement(.ourAllocations, Int((allocations[.ours] * 1_000).rounded()))
        measurement(.allAllocations, Int((allocations.all * 1_000).rounded()))
        let instructions = try program.instructions(messages: 10_000)
        measurement(.ourInstructions, Int(instructions[.ours].rounded()))
        measurement(.allInstructions, Int(instructions.all.rounded()))
        try Table.add(name, allocations, instructions)
    }
}
