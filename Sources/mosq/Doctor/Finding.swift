/// The result of one step.
struct Finding<Facts: Encodable & Sendable>: Encodable, Sendable {
    let status: FindingStatus
    /// The facts found before the step ended or failed.
    let facts: Facts?
    let diagnosis: Diagnosis?

    /// Without a diagnosis all is well.
    init(_ facts: Facts?, _ diagnosis: Diagnosis? = nil, isFailure: Bool = true) {
        status = diagnosis == nil ? .ok : isFailure ? .failed : .warning
        self.facts = facts
        self.diagnosis = diagnosis
    }

    /// Not tried, since an earlier step has failed or there is nothing to examine; what is known all the same is
    /// `facts`.
    static func skipped(_ facts: Facts? = nil) -> Finding { Finding(status: .skipped, facts: facts) }

    private init(status: FindingStatus, facts: Facts?) {
        self.status = status
        self.facts = facts
        diagnosis = nil
    }

    private enum Key: String, CodingKey { case status, diagnosis }

    /// One object: the facts beside the status.
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
