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

    private static func disposition() -> UInt {
        var action = sigaction()
        sigaction(SIGPIPE, nil, &action)
        #if canImport(Darwin)
        return unsafeBitCast(action.__sigaction_u.__sa_handler, to: UInt.self)
        #else
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: UInt.self)
        #endif
    }

    /// libmosquitto up to 2.0.14 sets SIG_IGN in each `mosquitto_new`.
    @Test func `stays what the program made it while many loops make handles at once (core 20)`() async {
        MosquittoLibrary.initialize
        let before = signal(SIGPIPE, Self.handler)
        defer { signal(SIGPIPE, before) }
        let own = Self.disposition()
        var lost = 0
        for _ in 0..<12 {
            signal(SIGPIPE, Self.handler)
            await withTaskGroup(of: Void.self) { group in
                for _ in 0..<4 {
                    group.addTask { @concurrent in
                        for _ in 0..<500 { mosquitto_destroy(cmq_new("x", true, nil)) }
                    }
                }
            }
            if Self.disposition() != own { lost += 1 }
        }
        // NIO, which other tests use in this process, ignores the signal once.
        #expect(lost <= 1)
    }
}
