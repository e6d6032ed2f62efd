// SPDX-License-Identifier: Apache-2.0

import CMosquitto
import CMosquittoShim
import Testing
import Turns

@testable import Mosquitto

#if canImport(Darwin)
import Darwin
#else
import Glibc
#endif

@Suite("The process's SIGPIPE disposition", .turn(.units))
struct SignalDispositionTests {
    private static let handler: @convention(c) (Int32) -> Void = { _ in }

    /// The handler is the first member of `sigaction`. The function does not name that member: Foundation's modules
    /// declare the type too, and Swift reads members only where the module that the compiler loaded first is imported.
    private static func disposition() -> UInt {
        withUnsafeTemporaryAllocation(of: sigaction.self, capacity: 1) { action in
            sigaction(SIGPIPE, nil, action.baseAddress)
            return UnsafeRawBufferPointer(action).load(as: UInt.self)
        }
    }

    private static var own: UInt { unsafeBitCast(handler, to: UInt.self) }

    /// Sets the handler. Another test that makes a handle at this moment restores the disposition of before: once a
    /// handle was made between two of theirs and the handler is still set, all of them restore the handler.
    private static func install() {
        repeat {
            signal(SIGPIPE, handler)
            mosquitto_destroy(cmq_new("x", true, nil))
        } while disposition() != own
    }

    /// libmosquitto up to 2.0.14 sets SIG_IGN in each `mosquitto_new`.
    @Test func `stays what the program made it while many loops make handles at once (core 20)`() async {
        MosquittoLibrary.initialize
        let before = signal(SIGPIPE, Self.handler)
        defer { signal(SIGPIPE, before) }
        Self.install()
        var lost = 0
        for _ in 0..<12 {
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask { @concurrent in
                        for _ in 0..<500 { mosquitto_destroy(cmq_new("x", true, nil)) }
                    }
                }
            }
            if Self.disposition() != Self.own {
                lost += 1
                Self.install()
            }
        }
        // NIO, which other tests use in this process, ignores the signal once.
        #expect(lost <= 1)
    }
}
