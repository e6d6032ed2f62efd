// SPDX-License-Identifier: Apache-2.0

internal import Mosquitto

#if canImport(FoundationEssentials)
internal import FoundationEssentials
#else
internal import Foundation
#endif

/// Inputs for a reader of foreign bytes: those of a corpus, and the same with random faults.
///
/// A corpus is a text file. A line is an input: "text " and its characters, or "hex " and its bytes.
package struct RandomInputs {
    package struct BadLine: Error {
        package var line: String
    }

    package let corpus: [[UInt8]]

    package init(corpus path: String) throws {
        let text = try String(contentsOfFile: path, encoding: .utf8)
        corpus = try text.split(separator: "\n").filter { !$0.hasPrefix("#") }.map(Self.input)
    }

    private static func input(_ line: Substring) throws -> [UInt8] {
        if line.hasPrefix("text ") { return Array(line.dropFirst(5).utf8) }
        guard line.hasPrefix("hex ") else { throw BadLine(line: String(line)) }
        return try line.dropFirst(4).split(separator: " ").map { digits in
            guard let byte = UInt8(digits, radix: 16) else { throw BadLine(line: String(line)) }
            return byte
        }
    }

    /// Returns an input of the corpus with up to eight faults, some of them parts of another input.
    package func faulty(seed: UInt64) -> [UInt8] {
        var generator = JitterGenerator(seed: seed)
        var bytes = corpus.randomElement(using: &generator) ?? []
        for _ in 0...Int.random(in: 0..<8, using: &generator) { spoil(&bytes, using: &generator) }
        return bytes
    }

    private func spoil(_ bytes: inout [UInt8], using generator: inout JitterGenerator) {
        let position = Int.random(in: 0...bytes.count, using: &generator)
        let interesting: [UInt8] = [0, 1, 0x7F, 0x80, 0xFF, 0x0A, 0x1B, 0x22, 0x25, 0x2E, 0x3A, 0x40, 0x5B, 0x5C, 0x7B]
        switch Int.random(in: 0..<9, using: &generator) {
        case 0 where position < bytes.count: bytes[position] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
        case 1 where position < bytes.count: bytes[position] = .random(in: 0...255, using: &generator)
        case 2 where position < bytes.count: bytes[position] = interesting.randomElement(using: &generator) ?? 0
        case 3 where position < bytes.count: bytes.remove(at: position)
        case 4: bytes.removeSubrange(position...)
        case 5 where bytes.count < 4_096: bytes += bytes[position...]
        case 6:
            let other = corpus.randomElement(using: &generator) ?? []
            let start = Int.random(in: 0...other.count, using: &generator)
            bytes.insert(contentsOf: other[start...], at: position)
        case 7:
            let byte = interesting.randomElement(using: &generator) ?? 0
            let count = [1, 2, 20, 300].randomElement(using: &generator) ?? 1
            bytes.insert(contentsOf: repeatElement(byte, count: count), at: position)
        default: bytes.insert(.random(in: 0...255, using: &generator), at: position)
        }
    }
}
