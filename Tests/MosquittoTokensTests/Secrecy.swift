// SPDX-License-Identifier: Apache-2.0

import Mosquitto
import Testing

/// Returns every text that a program may print of a value.
func output(of value: Any) -> String {
    var text = "\(value)\n" + String(reflecting: value) + "\n"
    dump(value, to: &text)
    return text
}

/// Returns the error that a source throws, and checks that it shows none of these secrets.
func failure(
    of source: some MQTTCredentialProvider, hiding secrets: [String] = [],
    sourceLocation: SourceLocation = #_sourceLocation
) async -> MQTTCredentialError? {
    let error = await #expect(throws: MQTTCredentialError.self, sourceLocation: sourceLocation) {
        _ = try await source.credentials(for: attempt)
    }
    let shown = output(of: error as Any)
    for secret in secrets {
        let isShown = shown.contains(secret)
        #expect(!isShown, "an error shows a secret", sourceLocation: sourceLocation)
    }
    return error
}
