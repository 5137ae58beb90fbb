// GET by Java's HttpClient: java Http2Get.java URL OFFER. Prints the negotiated protocol.
import java.net.Socket;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse.BodyHandlers;
import java.security.cert.X509Certificate;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLEngine;
import javax.net.ssl.TrustManager;
import javax.net.ssl.X509ExtendedTrustManager;

class Http2Get {
    public static void main(String[] args) throws Exception {
        var tls = SSLContext.getInstance("TLS");
        tls.init(null, new TrustManager[] {new Any()}, null);
        // With HTTP/2 it offers h2,http/1.1 and without it no ALPN; there is no other choice.
        var http2 = args[1].equals("h2,http/1.1");
        var client = HttpClient.newBuilder()
                .sslContext(tls)
                .version(http2 ? HttpClient.Version.HTTP_2 : HttpClient.Version.HTTP_1_1)
                .build();
        try {
            var request = HttpRequest.newBuilder(URI.create(args[0])).build();
            var response = client.send(request, BodyHandlers.discarding());
            var version = response.sslSession().get().getProtocol();
            System.out.println("negotiated " + response.version() + " " + version + " " + response.statusCode());
        } catch (java.io.IOException error) {
            System.out.println("failed " + error);
        }
    }

    /** Trusts any certificate, under any name. */
    static class Any extends X509ExtendedTrustManager {
        public void checkClientTrusted(X509Certificate[] chain, String type, Socket socket) {}
        public void checkServerTrusted(X509Certificate[] chain, String type, Socket socket) {}
        public void checkClientTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
        public void checkServerTrusted(X509Certificate[] chain, String type, SSLEngine engine) {}
        public void checkClientTrusted(X509Certificate[] chain, String type) {}
        public void checkServerTrusted(X509Certificate[] chain, String type) {}
        public X509Certificate[] getAcceptedIssuers() { return new X509Certificate[0]; }
    }
}
