/**
 * The page a sign-in window ends on: tells the waiting page, and closes.
 */
const channel = new BroadcastChannel("gateway");
channel.postMessage({ kind: "signed-in" });
channel.close();
setTimeout(() => window.close(), 150);
