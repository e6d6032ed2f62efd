// SPDX-License-Identifier: Apache-2.0

/// The problem, its probable cause and the remedy as text for the user, with a name of the cause for programs.
struct Diagnosis: Encodable, Hashable {
    /// The causes that a diagnosis distinguishes. Their names are an interface, documented in docs/doctor.md.
    enum Cause: String, Encodable, CaseIterable {
        case nameNotFound, refused, noAnswer, unreachable, noSocket, someAddressesFail
        case proxyAuthentication, proxyForbids, proxyFails, proxyCertificate, notProxy
        case notTLS, tlsRequired, unknownAuthority, certificateExpired, certificateNotYetValid, wrongName
        case certificateRevoked, certificateRefused, clientCertificateMissing, clientCertificateRefused
        case tlsConfiguration, tlsMismatch, notPostQuantum
        case credentialsFailed, credentialsMissing, tokenExpired, tokenNotYetValid, wrongAudience, notAuthorized
        case clock
        case protocolVersion, clientIdentifier, brokerUnavailable, banned, quota, otherServer, brokerRefused
        case closed, notMQTT, upgradeRefused
        case denied, noEcho, connectionLost
        case system
    }

    let cause: Cause
    /// The problem in one sentence.
    let summary: String
    /// The facts behind the problem, and other possible causes of the same facts, the likeliest first.
    var likely: [String] = []
    let remedy: String

    init(_ cause: Cause, _ summary: String, likely: [String] = [], remedy: String) {
        self.cause = cause
        self.summary = summary
        self.likely = likely
        self.remedy = remedy
    }

    /// Returns the diagnosis with likelier causes in front of its own.
    func preceded(by causes: [String]) -> Diagnosis {
        var diagnosis = self
        diagnosis.likely = causes + likely
        return diagnosis
    }
}
