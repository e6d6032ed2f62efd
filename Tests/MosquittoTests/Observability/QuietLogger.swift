import Logging

/// For clients whose log is not what the test is about.
let quiet: Logger = {
    var logger = Logger(label: "test")
    logger.logLevel = .critical
    return logger
}()
