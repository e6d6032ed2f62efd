import Logging

extension Logger {
    /// A logger for clients whose failures are the measurement.
    static var criticalOnly: Logger {
        var logger = Logger(label: "soak")
        logger.logLevel = .critical
        return logger
    }
}
