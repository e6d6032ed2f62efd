// SPDX-License-Identifier: Apache-2.0

/// The result of one step.
struct Finding<Facts: Encodable & Sendable>: Encodable, Sendable {
    let status: FindingStatus
    /// The facts found before the step ended or failed.
    let facts: Facts?
    let diagnosis: Diagnosis?

    /// A finding without a diagnosis is ok.
    init(_ facts: Facts?, _ diagnosis: Diagnosis? = nil, isFailure: Bool = true) {
        status = diagnosis == nil ? .ok : isFailure ? .failed : .warning
        self.facts = facts
        self.diagnosis = diagnosis
    }

    /// Not tried, since an earlier step has failed or there is nothing to examine; `facts` has whatever is known
    /// anyway.
    static func skipped(_ facts: Facts? = nil) -> Finding { Finding(status: .skipped, facts: facts) }

    private init(status: FindingStatus, facts: Facts?) {
        self.status = status
        self.facts = facts
        diagnosis = nil
    }

    private enum Key: String, CodingKey { case status, diagnosis }

    /// Encodes one object: the facts next to the status.
    func encode(to encoder: any Encoder) throws {
        try facts?.encode(to: encoder)
        var container = encoder.container(keyedBy: Key.self)
        try container.encode(status, forKey: .status)
        try container.encodeIfPresent(diagnosis, forKey: .diagnosis)
    }
}

enum FindingStatus: String, Encodable, Sendable {
    case ok, warning, failed, skipped
}
