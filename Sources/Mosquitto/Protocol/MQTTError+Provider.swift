// SPDX-License-Identifier: Apache-2.0

/// Failures of values that the user provides: credentials, authentication data, TLS material.
extension MQTTError {
    /// Returns the failure of a provider that did not answer in time.
    static func providerOverdue(_ timeout: Duration, _ what: String = "credential provider") -> MQTTError {
        MQTTError(.credentials, "the \(what) took longer than \(timeout)", phase: .credentials)
    }

    /// Converts an error thrown by a provider or an authenticator.
    static func providerFailure(_ error: any Error, of provider: String = "credential provider") -> MQTTError {
        if let error = error as? MQTTError {
            // Whatever its code, the error is the provider's failure, which never ends the client by itself.
            var failure = MQTTError(.credentials, error.message, phase: .credentials)
            failure.underlying = error
            return failure
        }
        // The description of the user's own error is not used: it may hold a secret.
        var failure = MQTTError(
            .credentials,
            (error as? MQTTCredentialError)?.message ?? "the \(provider) failed with \(type(of: error))",
            phase: .credentials)
        failure.underlying = error
        return failure
    }
}
