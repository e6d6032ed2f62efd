// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import MosquittoTesting

/// Measures the duration of successive QoS 1 publishes of a client while `body` runs.
enum RoundTrips {
    static func measure<R: Sendable>(
        _ client: MQTTClient, during body: () async throws -> R
    ) async throws -> (times: [Duration], result: R) {
        let measuring = Task { () async throws -> [Duration] in
            var times: [Duration] = []
            while !Task.isCancelled {
                let start = ContinuousClock.now
                do throws(MQTTError) {
                    _ = try await client.publish("ping", to: "busy", qos: .atLeastOnce)
                } catch {
                    if error.code == .cancelled, Task.isCancelled { break }
                    throw error
                }
                times.append(.now - start)
                try? await Task.sleep(for: .milliseconds(2))
            }
            return times
        }
        let result: R
        do {
            result = try await body()
        } catch {
            measuring.cancel()
            throw error
        }
        measuring.cancel()
        switch await measuring.result {
        case .success(let times): return (times, result)
        case .failure(let error): throw error
        }
    }
}
