// SPDX-License-Identifier: Apache-2.0

import Foundation
import MosquittoTesting
import Testing
import Turns

/// Short and seeded here; `scripts/soak fuzz` for longer, `scripts/fuzz` with libFuzzer.
@Suite("Bytes from outside, with random faults (fuzz)", .turn(.units), .timeLimit(.minutes(45)))
struct FuzzTests {
    private static var inputs: UInt64 {
        ProcessInfo.processInfo.environment["MOSQUITTO_FUZZ_INPUTS"].flatMap { UInt64($0) } ?? 4_000
    }

    private static var firstSeed: UInt64 {
        ProcessInfo.processInfo.environment["MOSQUITTO_FUZZ_SEED"].flatMap { UInt64($0) } ?? 1
    }

    @Test(arguments: FuzzTarget.allCases)
    func `are read, or end in a typed error`(target: FuzzTarget) async throws {
        let corpus = URL(filePath: #filePath).appending(path: "../../../Corpus/\(target).txt").standardized
        let inputs = try RandomInputs(corpus: corpus.path)
        #expect(inputs.corpus.count >= 4)
        for bytes in inputs.corpus { target.read(bytes) }
        for number in 0..<Self.inputs {
            target.read(inputs.faulty(seed: Self.firstSeed + number))
            // For tests that wait for a thread of the pool.
            await Task.yield()
        }
    }
}
