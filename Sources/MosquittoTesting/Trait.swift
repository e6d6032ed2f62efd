// SPDX-License-Identifier: Apache-2.0

#if !Testing
#error("MosquittoTesting needs the trait Testing of swift-mosquitto: name it where you depend on the package")
#endif
