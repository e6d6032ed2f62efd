// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import UnixSignals

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Keeps a health file up to date while a client runs: written at each event, and every two seconds while the client's
/// event loop responds. A process that hangs leaves an old file.
struct HealthReporter: Sendable {
    static let interval = Duration.seconds(2)

    private let file: HealthFile
    private let task: Task<Void, Never>

    /// Writes the file for the first time, before the client runs. Throws if that fails.
    ///
    /// - Parameter deadly: the signals that would end the process without a word: the file is removed before.
    init(_ path: String, _ client: MQTTClient, deadly: [UnixSignal], warns: Bool) async throws {
        let file = HealthFile(path: path)
        // Before the file exists: a signal would leave it behind.
        let signals = deadly.isEmpty ? nil : await TrappedSignals(deadly)
        do throws(HealthFile.SystemError) {
            try file.write(Self.report(client))
        } catch {
            throw CommandFailure(message: "--health-file \(path) cannot be written: \(error.reason).")
        }
        self.file = file
        let events = client.events()
        let (changes, changed) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        task = Task {
            await withDiscardingTaskGroup { group in
                group.addTask { for await _ in events { changed.yield() } }
                group.addTask { await Self.tick { changed.yield() } }
                group.addTask { await Self.write(file, client, changes, warns: warns) }
                if let signals { group.addTask { await Self.die(signals, file) } }
            }
        }
    }

    /// Removes the file.
    func stop() async {
        task.cancel()
        await task.value
        file.remove()
    }

    private static func report(_ client: MQTTClient) -> HealthReport {
        HealthReport(client.health, uptime: SystemClock.sinceBoot / .seconds(1))
    }

    private static func tick(_ body: () -> Void) async {
        while (try? await Task.sleep(for: interval)) != nil { body() }
    }

    private static func write(
        _ file: HealthFile, _ client: MQTTClient, _ changes: AsyncStream<Void>, warns: Bool
    ) async {
        var mayWarn = warns
        for await _ in changes {
            guard await client.isResponsive(), !Task.isCancelled else { continue }
            do throws(HealthFile.SystemError) {
                try file.write(report(client))
            } catch {
                if mayWarn { standardError("Warning: --health-file \(file.path) cannot be written: \(error.reason).") }
                mayWarn = false
            }
        }
    }

    /// Waits for a signal, removes the file, and lets the signal end the process.
    private static func die(_ signals: TrappedSignals, _ file: HealthFile) async {
        guard let received = await signals.first() else { return }
        file.remove()
        // Dispatch, which delivers the signals, has them blocked on the threads of its own.
        let mask = UnsafeMutablePointer<sigset_t>.allocate(capacity: 1)
        defer { mask.deallocate() }
        sigemptyset(mask)
        sigaddset(mask, received.rawValue)
        pthread_sigmask(SIG_UNBLOCK, mask, nil)
        raise(received.rawValue)
    }
}
