// SPDX-License-Identifier: Apache-2.0

/// Refused credentials, by the broker or in the handshake of a WebSocket.
extension SessionStateMachine {
    /// True if the error refuses credentials of the provider, or a request that was prepared with them.
    func concernsCredentials(_ error: MQTTError) -> Bool {
        error.code == .notAuthorized && (error.phase != .upgrade || configuration.hasPreparation)
    }

    /// The message for a provider that returns again what was refused.
    var refusedAgain: String {
        if lastFailure?.phase == .upgrade {
            return "the prepared WebSocket request is again the one that the server has refused; look for a wrong key,"
                + " region, audience or origin, or for what keeps the provider from getting new credentials"
        }
        return configuration.hasFixedCredentials
            ? "the user name or password is wrong at the broker; the configured credentials never change:"
                + " correct them here or at the broker"
            : "the credential provider gave again what the broker has refused; look for a wrong user name, key or audience,"
                + " or for what keeps the provider from getting new ones"
    }
}
