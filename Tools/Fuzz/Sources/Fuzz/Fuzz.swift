// SPDX-License-Identifier: Apache-2.0

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

/// libFuzzer, which reads the command line. It calls the body with each input, on this thread, and ends the process.
@_silgen_name("LLVMFuzzerRunDriver")
private func runFuzzer(
    _ count: UnsafeMutablePointer<CInt>,
    _ arguments: UnsafeMutablePointer<UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>>,
    _ body: @convention(c) (UnsafePointer<UInt8>?, Int) -> CInt
) -> CInt

/// The target that `scripts/fuzz` names.
private let target = getenv("MOSQUITTO_FUZZ_TARGET").flatMap { FuzzTarget(rawValue: String(cString: $0)) }

/// libFuzzer's own `main`, which is linked but never called, names this function.
@_cdecl("LLVMFuzzerTestOneInput")
func read(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target?.read(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}

/// SwiftPM begins a program at this function.
@main
enum Fuzz {
    static func main() {
        if CommandLine.arguments.dropFirst() == ["worst"] { return measureWorst() }
        guard target != nil else {
            let complaint = "fuzz: MOSQUITTO_FUZZ_TARGET names no target\n"
            write(STDERR_FILENO, complaint, complaint.utf8.count)
            exit(64)
        }
        var count = CommandLine.argc
        var arguments = CommandLine.unsafeArgv
        exit(runFuzzer(&count, &arguments) { read($0, $1) })
    }

    /// Prints the processor time of each of the worst packets: the least of ten.
    private static func measureWorst() {
        var longest = Duration.zero
        for packet in WorstPacket.allCases {
            let time = (0..<10).map { _ in packet.time() }.min() ?? .zero
            longest = max(longest, time)
            print("\(packet) \((time / .microseconds(1)).rounded() / 1_000) ms")
        }
        exit(longest < .milliseconds(50) ? 0 : 1)
    }
}
