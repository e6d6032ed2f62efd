// SPDX-License-Identifier: Apache-2.0

import Mosquitto

#if canImport(Darwin)
import Darwin
#elseif canImport(Musl)
import Musl
#else
import Glibc
#endif

/// Runs a benchmark to its end or to an interrupt, and prints its figures.
struct BenchRun: Sendable {
    let clients: BenchClients
    let meter: BenchMeter
    private let unit: String
    private let printsJSON: Bool
    private let isQuiet: Bool
    private let showsProgress: Bool

    /// - Parameter unit: the counted unit, in the plural.
    init(
        _ connection: ConnectionOptions, _ options: BenchOptions, goal: Int, unit: String = "messages",
        maximumInFlight: Int? = nil
    ) throws {
        try options.check()
        Self.raiseDescriptorLimit()
        meter = BenchMeter(goal: goal)
        clients = try BenchClients(
            connection, count: options.clients, meter: meter, maximumInFlight: maximumInFlight)
        self.unit = unit
        printsJSON = options.json
        isQuiet = connection.quiet
        showsProgress = BenchProgress.isPossible && !connection.quiet && !connection.retry.events
    }

    /// The clock stops when `body` has ended.
    func run(_ body: @escaping @Sendable (BenchClients, BenchMeter) async throws -> Void) async throws {
        let signals = await TrappedSignals()
        let work = Task { [clients, meter] in try await body(clients, meter) }
        let interruption = Task { [clients, meter] in
            guard await signals.first() != nil else { return false }
            meter.stop()
            work.cancel()
            await clients.shutdown()
            return true
        }
        let progress =
            showsProgress ? Task { [meter, unit] in await BenchProgress(meter: meter, unit: unit).show() } : nil
        do { try await work.value } catch let failure where !(failure is BenchFailure || failure is CancellationError) {
            meter.firstError.set("\(failure)")
        } catch {}
        meter.stop()
        await clients.waitForFailures()
        // Takes the report before the clients disconnect, which is not part of the measurement.
        let report = meter.report(unit: unit)
        interruption.cancel()
        let wasInterrupted = await interruption.value
        await clients.shutdown()
        progress?.cancel()
        await progress?.value

        var output = StandardOutput()
        output.write(((printsJSON ? report.json : report.line) + "\n").utf8)
        output.flush()
        guard report.messages < meter.goal else { return }
        var message = "Error: \(report.messages) of \(meter.goal) \(unit)"
        if wasInterrupted {
            message += ", interrupted."
        } else {
            message += meter.firstError.value.map { "; the first error: \($0)" } ?? "."
        }
        throw CommandFailure(lines: isQuiet ? [] : [message], status: 1)
    }

    /// Each connection takes several descriptors, and the usual limit of 1,024 is not meant for many.
    private static func raiseDescriptorLimit() {
        var limit = rlimit()
        guard getrlimit(descriptors, &limit) == 0 else { return }
        #if canImport(Darwin)
        // setrlimit(2): more than OPEN_MAX is refused. A higher limit of the shell stays.
        limit.rlim_cur = max(limit.rlim_cur, min(limit.rlim_max, rlim_t(OPEN_MAX)))
        #else
        limit.rlim_cur = limit.rlim_max
        #endif
        setrlimit(descriptors, &limit)
    }

    #if canImport(Glibc)
    private static let descriptors = __rlimit_resource_t(RLIMIT_NOFILE.rawValue)
    #else
    private static let descriptors = RLIMIT_NOFILE
    #endif
}
