// Call an endpoint and log a run about it, from Java: java Client.java
// A JDK of version 17 or newer is all it needs.
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Pattern;

public class Client {
    static final String HOST = System.getenv("DATABRICKS_HOST");
    static final String TOKEN = System.getenv("DATABRICKS_TOKEN");
    static final HttpClient HTTP = HttpClient.newBuilder()
        .version(HttpClient.Version.HTTP_1_1).build();

    static String send(HttpRequest.Builder request) throws Exception {
        request.header("Authorization", "Bearer " + TOKEN)
            .header("Content-Type", "application/json");
        var answer = HTTP.send(request.build(), BodyHandlers.ofString());
        if (answer.statusCode() != 200) {
            throw new IllegalStateException(answer.body());
        }
        return answer.body();
    }

    static String get(String path) throws Exception {
        return send(HttpRequest.newBuilder(URI.create(HOST + path)));
    }

    static String post(String path, String json) throws Exception {
        return send(HttpRequest.newBuilder(URI.create(HOST + path))
            .POST(BodyPublishers.ofString(json)));
    }

    // The JDK reads no JSON; for one field a pattern will do.
    static String field(String json, String name) {
        var pattern = Pattern.compile('"' + name + "\": *\"([^\"]*)\"");
        return pattern.matcher(json).results().findFirst().orElseThrow()
            .group(1);
    }

    public static void main(String[] arguments) throws Exception {
        // 1. ask the endpoint
        String flowers = Files.readString(Path.of("flowers.json"));
        String answer = post(
            "/serving-endpoints/flowers/invocations", flowers);
        System.out.println("answer  " + answer);

        // 2. count what is right
        var expected = List.of("setosa", "versicolor", "virginica");
        var predicted = Pattern.compile("\"([a-z]+)\"[,\\]]").matcher(answer)
            .results().map(found -> found.group(1)).toList();
        int right = 0;
        for (int i = 0; i < expected.size(); i++) {
            right += expected.get(i).equals(predicted.get(i)) ? 1 : 0;
        }
        System.out.println("right   " + right + " of 3");

        // 3. a run, its parameter and its metric
        String mlflow = "/api/2.0/mlflow/";
        String experiment = get(mlflow + "experiments/get-by-name"
            + "?experiment_name=flowers-by-language");
        String made = post(mlflow + "runs/create", """
            {"experiment_id": "%s", "run_name": "asked-from-Java",
             "start_time": %d,
             "tags": [{"key": "language", "value": "Java"}]}
            """.formatted(field(experiment, "experiment_id"),
                System.currentTimeMillis()));
        String run = field(made, "run_id");
        post(mlflow + "runs/log-parameter", """
            {"run_id": "%s", "key": "endpoint", "value": "flowers"}
            """.formatted(run));
        post(mlflow + "runs/log-metric", """
            {"run_id": "%s", "key": "right", "value": %d, "timestamp": %d}
            """.formatted(run, right, System.currentTimeMillis()));

        // 4. the run ends
        post(mlflow + "runs/update", """
            {"run_id": "%s", "status": "FINISHED", "end_time": %d}
            """.formatted(run, System.currentTimeMillis()));
        String kept = get(mlflow + "runs/get?run_id=" + run);
        System.out.println("run     " + field(kept, "status"));
    }
}
