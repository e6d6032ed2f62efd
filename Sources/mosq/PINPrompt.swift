// SPDX-License-Identifier: Apache-2.0

import Dispatch
import Mosquitto
import Synchronization

/// The question for the PIN of a key, which an attempt asks while its deadline runs. An attempt that begins before the
/// answer to the last one's question is there waits for that answer: two readers would share the keys that are typed.
final class PINPrompt: Sendable {
    private let question = Mutex<Task<MQTTSecret, any Error>?>(nil)

    func answer() async throws -> MQTTSecret {
        let task = question.withLock { question in
            if let question { return question }
            let task = Task {
                defer { self.question.withLock { $0 = nil } }
                return try await Self.ask()
            }
            question = task
            return task
        }
        return try await task.value
    }

    /// read(2) blocks, and must not block a thread of Swift's pool.
    private static func ask() async throws -> MQTTSecret {
        try await withCheckedThrowingContinuation { continuation in
            DispatchQueue(label: "mosq.pin").async {
                continuation.resume(with: Result { try Terminal.readSecret(prompt: "Enter PIN:") })
            }
        }
    }
}
