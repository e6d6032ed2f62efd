import Logging

extension Logger {
    /// For clients whose failures are what is measured.
    static var criticalOnly: Logger {
        var logger = Logger(label: "soak")
        logger.logLevel = .critical
        return logger
    }
}
